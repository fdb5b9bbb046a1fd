-- Stores jobs. Of each: its row, what was submitted, its body. The answer has of each what became of it.
promote(call.now)
local waiting = redis.call('ZCARD', prefix .. 'list:predict:queued')
local bytes = tonumber(redis.call('HGET', prefix .. 'totals', 'bytes') or '0')
local oldest = tonumber(redis.call('ZRANGE', prefix .. 'age', 0, 0, 'WITHSCORES')[2])
local outcomes = {}

local function full(size)
  return waiting >= call.max_waiting
    or bytes + size > call.max_bytes
    or (oldest and call.now - oldest > call.max_waiting_seconds)
end

local function accept(row, new, body)
  local same = load(row.id)
  if same then
    return { same.request == row.request and 'accepted' or 'conflict', row.id }
  end
  local known = row.idempotency and redis.call('HGET', prefix .. 'idempotency', row.idempotency)
  if known then
    return { load(known).request == row.request and 'known' or 'conflict', known }
  end
  if full(#body) then
    return { 'full', cmsgpack.pack({ waiting = waiting, bytes = bytes, oldest = oldest }) }
  end
  insert(row, new, body)
  if row.idempotency then
    redis.call('HSET', prefix .. 'idempotency', row.idempotency, row.id)
  end
  bytes = bytes + #body
  if row.kind ~= 'deliver' then
    waiting = waiting + 1
  end
  if row.due_at <= call.now then
    oldest = math.min(oldest or row.submitted_at, row.submitted_at)
  end
  return { 'accepted', row.id }
end

for at = 2, #ARGV, 3 do
  outcomes[#outcomes + 1] = accept(cmsgpack.unpack(ARGV[at]), ARGV[at + 1], ARGV[at + 2])
end
tell()
return outcomes
