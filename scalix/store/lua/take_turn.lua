-- Gives a user the turn to act on what is the user's own: one act at a time, and so much of it within a while.
--
-- KEYS  1 the user's turns (hash)
-- ARGV  1 now in ms ('' for the server's time)  2 what the act counts as  3 the most within a while  4 the while in ms
--       5 for how many ms the turn is taken
-- Returns 0 for the turn, a positive number of ms until there is room, or -1 while another act has the turn

local now = now_or_server_time(ARGV[1])
local ends, used, taken = unpack(redis.call('HMGET', KEYS[1], 'ends', 'used', 'taken'))
if taken and tonumber(taken) > now then return -1 end
if not ends or tonumber(ends) <= now then ends, used = now + ARGV[4], 0 end
if used + ARGV[2] > tonumber(ARGV[3]) then return ends - now end
local text = string.format('%.0f', ends)
redis.call('HSET', KEYS[1], 'ends', text, 'used', used + ARGV[2], 'taken', string.format('%.0f', now + ARGV[5]))
-- A turn that was taken shortly before the end of the while goes on after it.
redis.call('PEXPIRE', KEYS[1], math.max(ends - now, tonumber(ARGV[5])))
return 0
