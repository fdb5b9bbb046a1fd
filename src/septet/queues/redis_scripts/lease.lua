-- Begins jobs. `token` is the same until an answer has arrived: what was begun by one that was lost is given again.
local worker_key = prefix .. 'worker:' .. call.worker
local known = redis.call('HMGET', worker_key, 'models', 'lease_token', 'lease_ids')
if not known[1] then
  return {}
end
local leased = {}
local ids = {}

local function give(row)
  local stored = redis.call('HMGET', job_key(row.id), 'new', 'body')
  leased[#leased + 1] = { row.attempts, string.format('%.17g', row.first_started_at), stored[1], stored[2] or '' }
end

if known[2] == call.token then
  for _, id in ipairs(cmsgpack.unpack(known[3])) do
    local row = held(call.worker, id)
    if row then
      give(row)
    end
  end
  return leased
end

promote(call.now)

-- What was begun before comes alone: what ends its worker should harm no other.
local alone = false

-- Whether it was begun; where it was not, the candidates may be others than before.
local function begin(member)
  local row = load(id_of(member))
  if row.attempts > 0 then
    alone = true
    if #leased > 0 then
      return false
    end
  end
  unqueue(row)
  if is_late(row) then
    finish(row, 'expired')
  else
    count(row, 'attempts', 1)
    count(row, 'waited', math.max(0, call.now - math.max(row.submitted_at, row.due_at)))
    move(row, 'running')
    row.worker = call.worker
    row.started_at = call.now
    if row.attempts == 0 then
      row.first_started_at = call.now
    end
    row.attempts = row.attempts + 1
    row.progress = nil
    row.cancelling = nil
    redis.call('HSET', prefix .. 'running:' .. call.worker, row.id, '')
    ids[#ids + 1] = row.id
    give(row)
  end
  save(row)
  return row.state == 'running'
end

-- One pass through what was due when it began: neither what follows upon a job that expires in it, and comes before
-- that, nor its delivery.
local last = tonumber(redis.call('HGET', prefix .. 'totals', 'place') or '0')
local passed = { -math.huge, '' }
local rounds = 0

local function follows(a, b)
  return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2])
end

-- The first of each of its models, in the order of all.
local function candidates()
  local from = rounds == 1 and '-inf' or passed[1]
  local found = {}
  for _, model in ipairs(cmsgpack.unpack(known[1])) do
    local ranked =
      redis.call('ZRANGEBYSCORE', prefix .. 'due:' .. model, from, '+inf', 'WITHSCORES', 'LIMIT', 0, call.most + 2 * rounds)
    for at = 1, #ranked, 2 do
      local each = { tonumber(ranked[at + 1]), ranked[at] }
      if follows(each, passed) and tonumber(string.sub(each[2], 1, 14)) <= last then
        found[#found + 1] = each
      end
    end
  end
  table.sort(found, function(a, b)
    return follows(b, a)
  end)
  return found
end

-- Where very many have expired, the workers are told, and ask again.
repeat
  rounds = rounds + 1
  local found = candidates()
  for _, each in ipairs(found) do
    passed = each
    if not begin(each[2]) or alone or #leased == call.most then
      break
    end
  end
until #found == 0 or #leased == call.most or alone or rounds == 100
redis.call('HSET', worker_key, 'lease_token', call.token, 'lease_ids', cmsgpack.pack(ids))
done()
return leased
