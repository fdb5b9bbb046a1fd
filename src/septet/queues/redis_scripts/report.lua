-- How much of jobs is done. The answer has 1 for each that is still the worker's.
local outcomes = {}
for at = 2, #ARGV do
  local report = cmsgpack.unpack(ARGV[at])
  local row = held(call.worker, report.id, report.attempt)
  if row then
    row.progress = report.progress
    changed = true
    save(row)
  end
  outcomes[#outcomes + 1] = row and 1 or 0
end
done()
return outcomes
