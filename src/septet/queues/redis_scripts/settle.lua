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
  elseif ending.outcome == 'retry' then
    again(row, ending.delay)
  else
    if ending.outcome == 'failed' then
      row.reason = 'permanent'
    end
    finish(row, ending.outcome)
  end
  more_bytes = more_bytes + (row.reply_bytes or 0)
  if row.ended_at and reply ~= '' then
    redis.call('HSET', job_key(row.id), 'row', packed_row(row), 'reply', reply)
  else
    save(row)
  end
  return 1
end

local outcomes = {}
for at = 2, #ARGV, 2 do
  outcomes[#outcomes + 1] = settle(cmsgpack.unpack(ARGV[at]), ARGV[at + 1])
end
done()
return outcomes
