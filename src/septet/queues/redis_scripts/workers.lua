-- Those that have joined, and neither left nor been reaped.
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', prefix .. 'workers')) do
  local worker = redis.call('HMGET', prefix .. 'worker:' .. name, 'beat', 'since', 'models')
  found[#found + 1] = { name, worker[1], worker[2], worker[3], redis.call('HLEN', prefix .. 'running:' .. name) }
end
return found
