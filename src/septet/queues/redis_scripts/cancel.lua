-- Ends a job that waits, asks for the end of one that runs.
local row = load(call.id)
if not row then
  return false
end
if row.state == 'queued' then
  unqueue(row)
  finish(row, 'cancelled')
  save(row)
elseif row.state == 'running' then
  row.cancelling = true
  redis.call('HSET', prefix .. 'running:' .. row.worker, row.id, '1')
  changed = true
  save(row)
end
tell()
return redis.call('HMGET', job_key(row.id), 'new', 'row')
