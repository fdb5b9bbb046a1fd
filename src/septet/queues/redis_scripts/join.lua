-- A worker comes.
redis.call('DEL', prefix .. 'worker:' .. call.worker)
redis.call('HSET', prefix .. 'worker:' .. call.worker, 'beat', 0, 'since', call.now, 'models', cmsgpack.pack(call.models))
redis.call('SADD', prefix .. 'workers', call.worker)
return 1
