-- A worker leaves, or is gone: `beat` is the one that was last seen of it. The ids of what it had begun.
local worker_key = prefix .. 'worker:' .. call.worker
if call.beat and tonumber(redis.call('HGET', worker_key, 'beat')) ~= call.beat then
  return {}
end
local running_key = prefix .. 'running:' .. call.worker
local ids = redis.call('HKEYS', running_key)
redis.call('DEL', worker_key, running_key)
redis.call('SREM', prefix .. 'workers', call.worker)
-- In the order in which they were accepted.
local rows = {}
for _, id in ipairs(ids) do
  local row = held(call.worker, id)
  if row then
    rows[#rows + 1] = row
  end
end
table.sort(rows, function(a, b)
  return a.place < b.place
end)
local ended = {}
for _, row in ipairs(rows) do
  if call.beat then
    local longest = math.min(call.longest_delay, call.first_delay * 2 ^ math.min(row.attempts - 1, 32))
    row.error = call.error
    again(row, longest / 2 * (1 + call.chance))
  else
    row.answered_by = nil
    hand_back(row, 0)
  end
  save(row)
  ended[#ended + 1] = row.id
end
done()
return ended
