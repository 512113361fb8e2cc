//! The commands that write, and some that only read but may meet what has expired.

pub const COMMANDS: &str = "
8 SET <s> <v>
8 SET <k> <v> {EX <ttl>|PX <pttl>|EXAT <at>|PXAT <atms>|KEEPTTL|NX|XX|GET|NX PX <pttl>|XX GET KEEPTTL|GET EX <ttl>|XX PX <pttl>}
SETNX <s> <v>
SETEX <s> <ttl> <v>
PSETEX <s> <pttl> <v>
GETSET <s> <v>
GETDEL <s>
4 GETEX <s> {EX <ttl>|PX <pttl>|EXAT <at>|PXAT <atms>|PERSIST|}
GET <k>
APPEND <s> <v>
SETRANGE <s> <off> <v>
INCR <s>
DECRBY <s> <int>
4 INCRBYFLOAT <s> <float>
4 MSET <s> <v> {|<s> <v>|<s> <v> <s> <v> <k> <v>}
MSETNX <s> <v> {|<s> <v>|<s> <v> <s> <v>}
SETBIT <s> <off> <bit>
BITFIELD <s> SET u8 <off> <int> INCRBY i5 <off> <int> OVERFLOW FAIL INCRBY u4 <off> <int>
4 BITOP {AND|OR|XOR} <s> <s> <s>
BITOP NOT <s> <s>
4 PFADD <p> <m> <m> <m>
PFCOUNT <p>
PFCOUNT <p> <p>
4 PFMERGE <p> <p> <p>
PFDEBUG TODENSE <p>
4 DEL <k> {|<k>|<k> <k> <k>}
UNLINK <k> {|<k> <k>}
4 EXPIRE <k> <ttl> {NX|XX|GT|LT|}
6 PEXPIRE <k> <pttl> {NX|XX|GT|LT|}
EXPIREAT <k> <at>
4 PEXPIREAT <k> <atms>
PERSIST <k>
4 RENAME <k> <k>
RENAMENX <k> <k>
4 COPY <k> <k> {|REPLACE|DB <db>|DB <db> REPLACE}
MOVE <k> <db>
{SELECT <db>|SELECT 0|SELECT 0|SELECT 0}
1 {SWAPDB <db> <db>|FLUSHDB|FLUSHALL|TOUCH a|TOUCH b|TOUCH c|TOUCH d|TOUCH e|TOUCH f|TOUCH g|TOUCH h}
EXISTS <k> <k> <k>
TYPE <k>
RANDOMKEY
{RPUSH|LPUSH} <l> <v>
4 {RPUSH|LPUSH} <l> <v> <v> <m>
{RPUSHX|LPUSHX} <l> <v>
{LPOP|RPOP} <l>
{LPOP|RPOP} <l> <n>
LSET <l> <i> <v>
LINSERT <l> {BEFORE|AFTER} <m> <v>
LREM <l> <i> <m>
LTRIM <l> <i> <i>
4 LMOVE <l> <l> {LEFT|RIGHT} {LEFT|RIGHT}
RPOPLPUSH <l> <l>
LMPOP 2 <l> <l> {LEFT|RIGHT} {|COUNT <count>}
{BLPOP|BRPOP} <l> <l> 0
BLMPOP 0 2 <l> <l> {LEFT|RIGHT} {|COUNT <count>}
BLMOVE <l> <l> {LEFT|RIGHT} {LEFT|RIGHT} 0
BRPOPLPUSH <l> <l> 0
6 SADD <e> <m> <m> <m>
SREM <e> <m> <m>
SMOVE <e> <e> <m>
4 SPOP <e> {|<n>}
4 {SINTERSTORE|SUNIONSTORE|SDIFFSTORE} <e> <e> {|<e>}
6 ZADD <z> {|NX|XX|GT|LT|CH|GT CH} <score> <m> <score> <m>
ZADD <z> {|NX|XX|GT|LT} INCR <score> <m>
ZINCRBY <z> <float> <m>
ZREM <z> <m> <m>
{ZPOPMIN|ZPOPMAX} <z> {|<n>}
ZMPOP 2 <z> <z> {MIN|MAX} {|COUNT <count>}
{BZPOPMIN|BZPOPMAX} <z> <z> 0
BZMPOP 0 2 <z> <z> {MIN|MAX} {|COUNT <count>}
ZREMRANGEBYRANK <z> <i> <i>
ZREMRANGEBYSCORE <z> <int> <int>
ZREMRANGEBYLEX <z> [m1 [m5
4 {ZUNIONSTORE|ZINTERSTORE} <z> 2 <z> {<z>|<e>} {|WEIGHTS <score> <score>|AGGREGATE MIN}
ZDIFFSTORE <z> 2 <z> <z>
ZRANGESTORE <z> <z> {0 <i>|(1 +inf BYSCORE|- + BYLEX LIMIT 1 3}
GEOADD <z> {|NX|XX|CH} <lon> <lat> <m> <lon> <lat> <m>
GEOSEARCHSTORE <z> <z> FROMLONLAT <lon> <lat> BYRADIUS 5000 km {|ASC COUNT 3|COUNT 2 ANY} {|STOREDIST}
GEORADIUS <z> <lon> <lat> 5000 km {STORE|STOREDIST} <z>
GEORADIUSBYMEMBER <z> <m> 5000 km {STORE <z>|STOREDIST <z>|STORE <z> STORE <z>|}
SORT {<l>|<e>|<z>} {|ALPHA|BY nosort|BY s*|GET s* GET # ALPHA|LIMIT 0 3 ALPHA} STORE <l>
SORT {<l>|<e>|<z>} ALPHA
6 SORT {<l>|<e>|<z>} ALPHA {BY h*->f0|BY h*->f1|} {|GET h*->f2 GET h*->f3} STORE <l>
8 HSET <h> <f> <v> <f> <v>
HMSET <h> <f> <v>
6 HSETNX <h> <f> <v>
HDEL <h> <f> <f>
4 HINCRBY <h> <f> <int>
4 HINCRBYFLOAT <h> <f> <float>
4 HEXPIRE <h> <ttl> {|NX|XX|GT|LT} FIELDS 2 <f> <f>
6 HPEXPIRE <h> <pttl> {|NX|XX|GT|LT} FIELDS 2 <f> <f>
HEXPIREAT <h> <at> FIELDS 1 <f>
4 HPEXPIREAT <h> <atms> FIELDS 2 <f> <f>
6 HPERSIST <h> FIELDS 3 <f> <f> <f>
4 HGETEX <h> {|EX <ttl>|PX <pttl>|PXAT <atms>|PERSIST} FIELDS 2 <f> <f>
4 HGETDEL <h> FIELDS 2 <f> <f>
8 HSETEX <h> {|FNX|FXX} {|EX <ttl>|PX <pttl>|PXAT <atms>|KEEPTTL} FIELDS 2 <f> <v> <f> <v>
HGET <h> <f>
HMGET <h> <f> <f> <f>
HRANDFIELD <h> 2
HLEN <h>
6 XADD <x> {|NOMKSTREAM} <id> f <v>
4 XADD <x> {MAXLEN|MAXLEN =|MAXLEN ~} <n> <id> f <m>
XADD <x> {MINID|MINID =|MINID ~} <old> <id> f <m> g <m>
XADD <x> MAXLEN ~ <n> LIMIT 2 <id> f <m>
XTRIM <x> {MAXLEN|MAXLEN ~} <n>
XTRIM <x> MINID {=|~} <old>
XDEL <x> <old>
XSETID <x> {<old>|9999999999999-0}
4 XGROUP CREATE <x> <g> {$|0|<old>} {|MKSTREAM|ENTRIESREAD <n>}
XGROUP SETID <x> <g> {$|0|<old>} {|ENTRIESREAD <n>}
1 XGROUP DESTROY <x> <g>
XGROUP CREATECONSUMER <x> <g> <c>
XGROUP DELCONSUMER <x> <g> <c>
8 XREADGROUP GROUP <g> <c> {|COUNT 2} {|NOACK} STREAMS <x> <x> {>|>|0|<old>} >
XREADGROUP GROUP <g> <c> BLOCK 0 STREAMS <x> >
4 XACK <x> <g> <old> <old>
4 XCLAIM <x> <g> <c> {0|100} <old> <old> {|IDLE 50|TIME <atms>|RETRYCOUNT 3|FORCE|JUSTID|FORCE LASTID <old>}
4 XAUTOCLAIM <x> <g> <c> {0|200} {0|<old>} {|COUNT 2|JUSTID}
";
