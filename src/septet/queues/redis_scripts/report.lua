-- How much of a job is done.
local row = held(call.worker, call.id, call.attempt)
if not row then
  return 0
end
row.progress = call.progress
save(row)
return 1
