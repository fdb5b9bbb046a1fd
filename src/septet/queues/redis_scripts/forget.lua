-- Forgets jobs that have ended; how many.
local count = 0
for at = 2, #ARGV do
  local row = load(ARGV[at])
  if row and row.ended_at then
    forget(row)
    count = count + 1
  end
end
return count
