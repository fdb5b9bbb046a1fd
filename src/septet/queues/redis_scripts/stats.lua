-- What is stored now.
promote(call.now)
local states = {}
for _, state in ipairs({ 'queued', 'running', 'succeeded', 'failed', 'expired', 'cancelled' }) do
  states[state] = redis.call('ZCARD', prefix .. 'list:predict:' .. state)
end
local to_deliver = redis.call('ZCARD', prefix .. 'list:deliver:queued')
local not_yet = redis.call('ZCOUNT', prefix .. 'later', beyond(call.now), '+inf')
  + redis.call('ZCOUNT', prefix .. 'ripe', beyond(call.now), '+inf')
local totals = prefix .. 'totals'

-- What has happened to jobs of a kind.
local function counts_of(kind)
  local function total(what)
    return tonumber(redis.call('HGET', totals, kind .. ':' .. what) or '0')
  end
  local ended = {}
  for _, how in ipairs({ 'succeeded', 'permanent', 'attempts_exhausted', 'too_old', 'expired', 'cancelled' }) do
    ended[how] = total('ended:' .. how)
  end
  return { attempts = total('attempts'), waited_seconds = total('waited'), run_seconds = total('run'), ended = ended }
end

-- What waits for a model that no worker has; nil where nothing does: an empty table would be packed as a list.
local unserved
local waiting = redis.call('HGETALL', prefix .. 'waiting')
if #waiting > 0 then
  local served = {}
  for _, name in ipairs(redis.call('SMEMBERS', prefix .. 'workers')) do
    for _, model in ipairs(cmsgpack.unpack(redis.call('HGET', prefix .. 'worker:' .. name, 'models'))) do
      served[model] = true
    end
  end
  for at = 1, #waiting, 2 do
    if not served[waiting[at]] then
      unserved = unserved or {}
      unserved[waiting[at]] = tonumber(waiting[at + 1])
    end
  end
end

return cmsgpack.pack({
  states = states,
  due = states.queued + to_deliver - not_yet,
  deliveries = to_deliver + redis.call('ZCARD', prefix .. 'list:deliver:running'),
  oldest_at = tonumber(redis.call('ZRANGE', prefix .. 'age', 0, 0, 'WITHSCORES')[2]) or cjson.null,
  stored_bytes = tonumber(redis.call('HGET', totals, 'bytes') or '0'),
  workers = redis.call('SCARD', prefix .. 'workers'),
  unserved = unserved,
  counts = { predict = counts_of('predict'), deliver = counts_of('deliver') },
})
