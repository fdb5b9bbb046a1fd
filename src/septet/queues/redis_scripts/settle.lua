-- Ends attempts. Of each: how, and its reply. The answer has 1 for each that was still the worker's, or that it has
-- settled in the same way before: its answer was lost then.
local function settle(ending, reply)
  local row, other = held(call.worker, ending.id, ending.attempt)
  if not row then
    return other and other.settled == ending.mark and 1 or 0
  end
  redis.call('HDEL', prefix .. 'running:' .. call.worker, row.id)
  row.settled = ending.mark
  if ending.error or ending.outcome == 'succeeded' then
    row.error = ending.error
  end
  row.answered_by = ending.answered_by
  row.reply_bytes = ending.reply_bytes
  if ending.outcome == 'returned' then
    hand_back(row, ending.delay)
    row.answered_by = ending.answered_by
  elseif ending.outcome == 'retry' then
    again(row, ending.delay)
  else
    if ending.outcome == 'failed' then
      row.reason = 'permanent'
    end
    finish(row, ending.outcome)
  end
  if row.ended_at and reply ~= '' then
    redis.call('HSET', job_key(row.id), 'reply', reply)
  end
  add_bytes(row.reply_bytes or 0)
  save(row)
  return 1
end

local outcomes = {}
for at = 2, #ARGV, 2 do
  outcomes[#outcomes + 1] = settle(cmsgpack.unpack(ARGV[at]), ARGV[at + 1])
end
tell()
return outcomes
