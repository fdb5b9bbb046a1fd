-- What is stored now.
promote(call.now)
local states = {}
for _, state in ipairs({ 'queued', 'running', 'succeeded', 'failed', 'expired', 'cancelled' }) do
  states[state] = redis.call('ZCARD', prefix .. 'list:predict:' .. state)
end
local to_deliver = redis.call('ZCARD', prefix .. 'list:deliver:queued')
local not_yet = redis.call('ZCOUNT', prefix .. 'later', '(' .. string.format('%.17g', call.now), '+inf')
return cmsgpack.pack({
  states = states,
  due = states.queued + to_deliver - not_yet,
  deliveries = to_deliver + redis.call('ZCARD', prefix .. 'list:deliver:running'),
  oldest_at = tonumber(redis.call('ZRANGE', prefix .. 'age', 0, 0, 'WITHSCORES')[2]) or cjson.null,
  stored_bytes = tonumber(redis.call('HGET', prefix .. 'totals', 'bytes') or '0'),
  workers = redis.call('SCARD', prefix .. 'workers'),
})
