-- What all scripts share; it stands before each of them.
--
-- KEYS[1] is what the name of every key begins with, ARGV[1] the arguments of the call by name, in MessagePack.
--   job:ID            hash: `new` what was submitted, `body`, `row` what became of it, `reply`
--   list:KIND:STATE   sorted set by place: all jobs, by kind and state
--   due:MODEL         sorted set by rank: what may begin
--   later             sorted set by time: what waits and may not begin yet
--   ripe              sorted set by time: what waits, was to wait for a time, and may begin now
--   age               sorted set by the time of its acceptance: what waits and is not in `later`
--   begin_by          sorted set by time: what waits and expires then
--   key:KEY           sorted set by place: the jobs of that key that have not ended
--   over              sorted set by time: what has ended, and when it is forgotten
--   forgotten         sorted set by time: ids of what was forgotten, and until when they are known as over
--   idempotency       hash: from an idempotency key and its caller to the job's id
--   waiting           hash: how many jobs of a model wait
--   workers           set; worker:NAME hash; running:NAME hash: ids of what it has begun, `1` for what is to be ended
--   totals            hash: `place`, the last one that was given; `bytes`, of bodies and replies; and of each kind what
--                     has happened: `KIND:attempts`, `KIND:waited` and `KIND:run` in seconds, `KIND:ended:HOW`
-- In sorted sets a job's member is its place, filled up with zeros, and its id: of equal scores the earlier is first.
local prefix = KEYS[1]
local call = cmsgpack.unpack(ARGV[1])
local changed = false
local more_bytes = 0
local happened = {}
local place

local function job_key(id)
  return prefix .. 'job:' .. id
end

local function member_of(row)
  return string.format('%014d:', row.place) .. row.id
end

local function id_of(member)
  return string.sub(member, 16)
end

-- As a bound of a range that it is not part of itself.
local function beyond(score)
  return '(' .. string.format('%.17g', score)
end

local function list_key(row)
  return prefix .. 'list:' .. (row.kind or 'predict') .. ':' .. row.state
end

local function load(id)
  local packed = redis.call('HGET', job_key(id), 'row')
  if not packed then
    return nil
  end
  local row = cmsgpack.unpack(packed)
  row.id = id
  return row
end

local function packed_row(row)
  local id = row.id
  row.id = nil
  local packed = cmsgpack.pack(row)
  row.id = id
  return packed
end

local function save(row)
  redis.call('HSET', job_key(row.id), 'row', packed_row(row))
end

local function next_place()
  place = (place or tonumber(redis.call('HGET', prefix .. 'totals', 'place') or '0')) + 1
  return place
end

local function count(row, what, more)
  local name = (row.kind or 'predict') .. ':' .. what
  happened[name] = (happened[name] or 0) + more
end

local function count_waiting(row, more)
  if redis.call('HINCRBY', prefix .. 'waiting', row.model, more) == 0 then
    redis.call('HDEL', prefix .. 'waiting', row.model)
  end
end

local function move(row, state)
  local member = member_of(row)
  if row.state == 'queued' then
    count_waiting(row, -1)
  elseif state == 'queued' then
    count_waiting(row, 1)
  end
  if row.state == 'running' then
    count(row, 'run', math.max(0, call.now - row.started_at))
  end
  redis.call('ZREM', list_key(row), member)
  row.state = state
  redis.call('ZADD', list_key(row), row.place, member)
end

-- It may begin unless an earlier job of its key has not ended; it follows when that one ends.
local function make_due(row)
  local member = member_of(row)
  if row.key and redis.call('ZRANGE', prefix .. 'key:' .. row.key, 0, 0)[1] ~= member then
    return
  end
  redis.call('ZADD', prefix .. 'due:' .. row.model, row.rank, member)
end

local function ripen(row)
  if row.due_at > 0 then
    redis.call('ZADD', prefix .. 'ripe', row.due_at, member_of(row))
  end
  redis.call('ZADD', prefix .. 'age', row.submitted_at, member_of(row))
  make_due(row)
end

-- It was never begun, and it is too late for that.
local function is_late(row)
  return row.begin_by and row.begin_by < call.now and row.attempts == 0
end

local function enqueue(row, now)
  local member = member_of(row)
  changed = true
  if row.begin_by and row.attempts == 0 then
    redis.call('ZADD', prefix .. 'begin_by', row.begin_by, member)
  end
  if row.due_at > now then
    redis.call('ZADD', prefix .. 'later', row.due_at, member)
  else
    ripen(row)
  end
end

local function unqueue(row)
  local member = member_of(row)
  redis.call('ZREM', prefix .. 'due:' .. row.model, member)
  redis.call('ZREM', prefix .. 'age', member)
  if row.due_at > 0 then
    redis.call('ZREM', prefix .. 'later', member)
    redis.call('ZREM', prefix .. 'ripe', member)
  end
  if row.begin_by then
    redis.call('ZREM', prefix .. 'begin_by', member)
  end
end

-- What waited for its time may begin now; what may not, since the clock was set back, waits again: so much at once.
local function promote(now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'later', '-inf', now, 'LIMIT', 0, 1000)) do
    redis.call('ZREM', prefix .. 'later', member)
    ripen(load(id_of(member)))
  end
  for _, member in ipairs(redis.call('ZREVRANGEBYSCORE', prefix .. 'ripe', '+inf', beyond(now), 'LIMIT', 0, 1000)) do
    local row = load(id_of(member))
    unqueue(row)
    enqueue(row, now)
  end
end

local function insert(row, new, body)
  row.place = next_place()
  row.state = 'queued'
  row.attempts = 0
  local member = member_of(row)
  redis.call('HSET', job_key(row.id), 'new', new, 'row', packed_row(row), 'body', body)
  more_bytes = more_bytes + #body
  if row.key then
    redis.call('ZADD', prefix .. 'key:' .. row.key, row.place, member)
  end
  redis.call('ZADD', list_key(row), row.place, member)
  count_waiting(row, 1)
  enqueue(row, call.now)
end

-- Queues the job that brings the answer of another one to its sink.
local function deliver(row)
  local id = string.sub(redis.sha1hex(call.salt .. row.id), 1, 32)
  local new = row.delivery
  row.delivery = nil
  new.id = id
  new.max_attempts = call.delivery_attempts
  new.max_age = call.delivery_seconds
  new.submitted_at = call.now
  insert({
    id = id,
    kind = 'deliver',
    model = new.model,
    rank = call.now,
    submitted_at = call.now,
    due_at = 0,
    max_attempts = call.delivery_attempts,
    max_age = call.delivery_seconds,
  }, cmsgpack.pack(new), '')
end

-- It reaches its last state. Whoever calls this saves it.
local function finish(row, state)
  local member = member_of(row)
  changed = true
  move(row, state)
  count(row, 'ended:' .. (row.reason or state), 1)
  row.ended_at = call.now
  row.keep_until = call.now + call.keep_seconds
  row.cancelling = nil
  redis.call('ZADD', prefix .. 'over', row.keep_until, member)
  if row.key then
    redis.call('ZREM', prefix .. 'key:' .. row.key, member)
    local first = redis.call('ZRANGE', prefix .. 'key:' .. row.key, 0, 0)[1]
    local following = first and load(id_of(first))
    if following and following.state == 'queued' and not redis.call('ZSCORE', prefix .. 'later', first) then
      make_due(following)
    end
  end
  if row.delivery then
    deliver(row)
  end
end

-- Its attempt failed: it is queued again, where attempts and age allow it and nobody wants it ended.
local function again(row, delay)
  if row.cancelling then
    finish(row, 'cancelled')
  elseif row.attempts >= row.max_attempts then
    row.reason = 'attempts_exhausted'
    finish(row, 'failed')
  elseif call.now - row.first_started_at > row.max_age then
    row.reason = 'too_old'
    finish(row, 'failed')
  else
    row.reply_bytes = nil
    row.worker = nil
    row.due_at = call.now + delay
    move(row, 'queued')
    enqueue(row, call.now)
  end
end

-- It was not really begun, and the attempt does not count.
local function hand_back(row, delay)
  if row.cancelling then
    finish(row, 'cancelled')
    return
  end
  row.attempts = row.attempts - 1
  row.worker = nil
  row.reply_bytes = nil
  row.due_at = call.now + delay
  move(row, 'queued')
  enqueue(row, call.now)
end

local function held(worker, id, attempt)
  local row = load(id)
  if row and row.state == 'running' and row.worker == worker and (not attempt or row.attempts == attempt) then
    return row
  end
  return nil, row
end

-- Leaves nothing of it, but for what the caller keeps of its id.
local function forget(row)
  local member = member_of(row)
  redis.call('ZREM', list_key(row), member)
  redis.call('ZREM', prefix .. 'over', member)
  if row.idempotency and redis.call('HGET', prefix .. 'idempotency', row.idempotency) == row.id then
    redis.call('HDEL', prefix .. 'idempotency', row.idempotency)
  end
  more_bytes = more_bytes - (row.body_bytes or 0) - (row.reply_bytes or 0)
  redis.call('UNLINK', job_key(row.id))
end

-- Every script that changes jobs ends so.
local function done()
  if place then
    redis.call('HSET', prefix .. 'totals', 'place', place)
  end
  if more_bytes ~= 0 then
    redis.call('HINCRBY', prefix .. 'totals', 'bytes', more_bytes)
  end
  for name, more in pairs(happened) do
    redis.call('HINCRBYFLOAT', prefix .. 'totals', name, string.format('%.17g', more))
  end
  if changed then
    redis.call('PUBLISH', prefix .. 'signal', '')
  end
end
