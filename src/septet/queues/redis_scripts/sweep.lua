-- Expires what began too late and forgets what was kept long enough; how many.
promote(call.now)
local forgotten = prefix .. 'forgotten'
local late = redis.call('ZRANGEBYSCORE', prefix .. 'begin_by', '-inf', '(' .. string.format('%.17g', call.now), 'LIMIT', 0, call.most)
for _, member in ipairs(late) do
  local row = load(id_of(member))
  unqueue(row)
  finish(row, 'expired')
  save(row)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', forgotten, '-inf', call.now, 'LIMIT', 0, 2 * call.most)) do
  redis.call('ZREM', forgotten, id)
end
local over = redis.call('ZRANGEBYSCORE', prefix .. 'over', '-inf', call.now, 'LIMIT', 0, call.most - #late)
for _, member in ipairs(over) do
  forget(load(id_of(member)))
  redis.call('ZADD', forgotten, call.now + call.keep_seconds, id_of(member))
end
tell()
return #late + #over
