-- A worker lives; the ids of its jobs that somebody wants ended, or nothing where it was reaped.
if redis.call('EXISTS', prefix .. 'worker:' .. call.worker) == 0 then
  return false
end
redis.call('HINCRBY', prefix .. 'worker:' .. call.worker, 'beat', 1)
local wanted = {}
local running = redis.call('HGETALL', prefix .. 'running:' .. call.worker)
for at = 1, #running, 2 do
  if running[at + 1] == '1' then
    wanted[#wanted + 1] = running[at]
  end
end
return wanted
