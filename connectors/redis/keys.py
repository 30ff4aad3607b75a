"""The keys in Redis, and the scripts that change or read those of one vehicle at once."""

from typing import Final

EXPIRES_S: Final = 3600
"""How long a vehicle's keys live after its last record was written."""
ZONES_KEY: Final = "zones:all"
ZONES_TIME_KEY: Final = "zones:time"
"""The event time that the zones are cached as of."""

# Times are RFC 3339 in UTC with microseconds, so text order is time order. A vehicle's hash names
# its zones, so the keys of those it has left are found without a search. Not for Redis Cluster:
# the keys of zones cannot be known before the call.
# KEYS: the hash. ARGV: last_update, record, status, seconds to live, prefix of the vehicle's zone
# keys, zones as JSON, unknown zones as JSON, then zone id and entry time in turn.
TELL_STATE: Final = """
local known = redis.call('HGET', KEYS[1], 'last_update')
if known and known > ARGV[1] then return 0 end
local now_in = {}
for i = 8, #ARGV, 2 do now_in[ARGV[i]] = true end
local was_in = redis.call('HGET', KEYS[1], 'zones')
if was_in then
  for _, zone in ipairs(cjson.decode(was_in)) do
    if not now_in[zone] then redis.call('DEL', ARGV[5] .. zone) end
  end
end
redis.call('HSET', KEYS[1], 'record', ARGV[2], 'zones', ARGV[6], 'unknown', ARGV[7],
  'last_update', ARGV[1])
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], 'status')
else redis.call('HSET', KEYS[1], 'status', ARGV[3]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
for i = 8, #ARGV, 2 do redis.call('SET', ARGV[5] .. ARGV[i], ARGV[i + 1], 'EX', ARGV[4]) end
return 1
"""
# KEYS: the hash. ARGV: prefix of the vehicle's zone keys. Gives nothing, or last_update, record,
# zones and unknown zones as JSON, then the entry times of the zones.
READ_STATE: Final = """
local known = redis.call('HMGET', KEYS[1], 'last_update', 'record', 'zones', 'unknown')
if not known[1] then return {} end
local said = {known[1], known[2], known[3], known[4] or '[]'}
for _, zone in ipairs(cjson.decode(known[3])) do
  table.insert(said, redis.call('GET', ARGV[1] .. zone) or '')
end
return said
"""
# KEYS: the hash of zones. ARGV: the key of its time, an event time ('' = none is known), then of
# each version, in order of zone and start: zone id, start, end ('' = open), feature.
TELL_ZONES: Final = """
local time = redis.call('GET', ARGV[1]) or ''
if ARGV[2] > time then
  time = ARGV[2]
  redis.call('SET', ARGV[1], time)
end
local now = {}
for i = 3, #ARGV, 4 do
  local id, starts, ends = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if time == '' then now[id] = now[id] or ARGV[i + 3]
  elseif starts <= time and (ends == '' or time < ends) then now[id] = ARGV[i + 3] end
end
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not now[id] then redis.call('HDEL', KEYS[1], id) end
end
for id, feature in pairs(now) do redis.call('HSET', KEYS[1], id, feature) end
return 1
"""


def state_key(kind: str, vehicle_id: str) -> str:
    """The hash of a vehicle: ``record``, ``zones``, ``unknown``, ``status``, ``last_update``."""
    return f"{kind}:state:{vehicle_id}"


def zone_key(kind: str, vehicle_id: str, zone_id: str) -> str:
    """The key that is there while a vehicle is in a zone; it holds the entry time."""
    return f"{kind}:zone:{vehicle_id}:{zone_id}"
