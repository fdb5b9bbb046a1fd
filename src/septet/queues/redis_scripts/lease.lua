-- Begins jobs. `token` is the same until an answer has arrived: what was begun by one that was lost is given again.
local worker_key = prefix .. 'worker:' .. call.worker
local known = redis.call('HMGET', worker_key, 'models', 'lease_token', 'lease_ids')
if not known[1] then
  return {}
end
local leased = {}
local ids = {}

local function give(id, attempt)
  local stored = redis.call('HMGET', job_key(id), 'new', 'body')
  leased[#leased + 1] = { attempt, stored[1], stored[2] or '' }
end

if known[2] == call.token then
  for _, id in ipairs(cmsgpack.unpack(known[3])) do
    local row = held(call.worker, id)
    if row then
      give(id, row.attempts)
    end
  end
  return leased
end

promote(call.now)

-- What was begun before comes alone: what ends its worker should harm no other.
local alone = false

local function begin(member)
  local row = load(id_of(member))
  if row.attempts > 0 and row.due_at <= call.now then
    alone = true
    if #leased > 0 then
      return
    end
  end
  unqueue(row)
  if row.due_at > call.now then -- the clock was set back
    enqueue(row, call.now)
  elseif row.begin_by and row.begin_by < call.now and row.attempts == 0 then
    finish(row, 'expired')
  else
    move(row, 'running')
    row.worker = call.worker
    row.attempts = row.attempts + 1
    row.started_at = call.now
    row.progress = nil
    row.cancelling = nil
    redis.call('HSET', prefix .. 'running:' .. call.worker, row.id, '')
    ids[#ids + 1] = row.id
    give(row.id, row.attempts)
  end
  save(row)
end

-- The first of each of its models, in the order of all.
local function candidates()
  local found = {}
  for _, model in ipairs(cmsgpack.unpack(known[1])) do
    local ranked = redis.call('ZRANGE', prefix .. 'due:' .. model, 0, call.most - 1, 'WITHSCORES')
    for at = 1, #ranked, 2 do
      found[#found + 1] = { tonumber(ranked[at + 1]), ranked[at] }
    end
  end
  table.sort(found, function(a, b)
    return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
  end)
  return found
end

for _ = 1, 10 do
  local found = candidates()
  for _, each in ipairs(found) do
    if #leased < call.most and not alone then
      begin(each[2])
    end
  end
  if #found == 0 or #leased >= call.most or alone then
    break
  end
end
redis.call('HSET', worker_key, 'lease_token', call.token, 'lease_ids', cmsgpack.pack(ids))
tell()
return leased
