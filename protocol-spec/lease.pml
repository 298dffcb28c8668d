/*
 * The rules of leases.md for one key, as a model in Promela. `tools/lib/check-model` has spin go through every possible run of it and
 * prove that none breaks the promises listed under "What must hold", that none goes on for ever, and that none leaves anybody waiting.
 *
 * Who takes part, one process each:
 *   Client   one request for the key, together with the server's worker that owns its connection. Clients 0 and 1 never wait
 *            (lease-get), clients 2, 3 and 4 do (mg with Lw and Lf). Who is granted a lease reads the database; then it fills, keeps,
 *            fails, passes, releases, or its connection closes. It may do so late: what hangs acts when its lease is over.
 *   Writer   changes the database, then deletes the key; or it holds the key, commits, and then writes, deletes or is gone.
 *   Clock    makes deadlines pass: of leases and of holds. It may act at any moment, so every length of time is covered.
 *   Watcher  takes no part. It sees every state and complains when a promise is broken.
 *
 * What happens under the partition's lock is one step (atomic); between two steps anything else may happen. A waiter is woken by a
 * message from the partition to the waiter's worker. While the message is under way the waiter may time out, be taken back or lose its
 * connection: that race is what most of this model is about.
 *
 * What is simplified: a value is nothing but the version of the database that it was read from. A client asks once and gets at most one
 * token, so the client's number stands for the token (tokens never repeat: taken for granted here). A waiter's deadline and `mx` are one
 * event, as are release and a closed connection. Failure and pass differ only in what becomes of the stale value; their time may be over
 * whenever somebody asks. Any late fill may replace a stale value. Clients of a kind are alike, so they ask in the order of their numbers.
 * Left out: refresh-ahead, plain writes, expiry of values, limits.
 *
 * Compile-time choices:
 *   N                how many tokens may be valid at once: 1 or 2
 *   WRITERS          1 or 2
 *   PATIENT          waiters neither time out nor leave: a lost wake-up is a deadlock
 *   GRANT_INTERVAL   with a smallest time between two grants
 *   NO_KEEP          without lease-keep; then the worst moment to read the database is at once, and no other is tried. Far fewer states
 *   NO_WATCHER       nobody complains, so that a fault must show itself in another way
 *   BREAK_...        a rule is broken on purpose; spin must find it
 */
#ifndef N
#define N 1
#endif
#define HOLDERS 2
#define WAITERS 3
#define CLIENTS 5
#ifndef WRITERS
#define WRITERS 1
#endif
#define NOBODY 255

mtype:value = { ABSENT, FRESH, STALE };
mtype:message = { NOTHING, TOKEN, OUTCOME };

/* --- The key's record in its partition, guarded by the partition's lock --- */
mtype:value value = ABSENT;
byte version;                        /* the database's version when the value was read */
bool live[CLIENTS];                  /* whose token is valid */
bool voided[CLIENTS];                /* whose token was voided by a delete and is remembered */
byte shown[CLIENTS];                 /* the version of the stale value that came with the token; 0: none */
byte writer = NOBODY;                /* who holds the key for writing */
bool refused;                        /* a failure's or pass's time is not over */
bool early;                          /* the grant interval is not over */
chan queue = [WAITERS] of { byte };  /* parked requests, first come first */

/* --- The workers' inboxes: what is under way to a request --- */
mtype:message inbox[CLIENTS] = NOTHING;

/* --- The database --- */
byte committed = 1;

/* --- For the promises only --- */
byte deleted;                        /* the newest version that the cache has been told of, by a delete or a hold */
bool answered[CLIENTS];

byte asked[2];                       /* how many clients of each kind have asked */

/* --- Scratch within one step, no part of the state --- */
hidden byte first, i, before;

/* --- What must hold in every state (Watcher); further promises are asserted where they are kept --- */
#define TOKENS (live[0] + live[1] + live[2] + live[3] + live[4])
#define TOO_MANY_TOKENS (TOKENS > N)
#define STALE_SERVED_AS_FRESH (value == FRESH && version < deleted)
/* Somebody waits although there is an answer, or a free place that no hold and no grant interval keeps from him. */
#define FORGOTTEN_WAITER (len(queue) > 0 && (value == FRESH || refused || (TOKENS < N && writer == NOBODY && !early)))
#define BROKEN_HOLD (writer != NOBODY && (TOKENS > 0 || value == FRESH))

/* --- The rules. Each of these is run within one step, under the lock --- */

inline grant(id) {
  live[id] = true;
#ifndef NO_KEEP
  shown[id] = (value == STALE -> version : 0);
#endif
#ifdef GRANT_INTERVAL
  early = true
#endif
}

inline answer(id) {
  assert(!answered[id]);
  answered[id] = true
}

inline send(id, message) {
  assert(inbox[id] == NOTHING);
  inbox[id] = message
}

/* The waiter that came first, if there is one, becomes a holder; the others wait on. */
inline promoteOne() {
  if
  :: len(queue) > 0 ->
    queue ? first;
    grant(first);
    send(first, TOKEN)
  :: else
  fi
}

/* After a delete or a hold all N places may be free. */
inline promoteToFreePlaces() {
  do
  :: len(queue) > 0 && TOKENS < N && writer == NOBODY && !early -> promoteOne()
  :: else -> break
  od
}

/* Fill, failure and pass: every waiter gets the outcome at once. */
inline answerAll() {
  do
  :: len(queue) > 0 ->
    queue ? first;
    send(first, OUTCOME)
  :: else -> break
  od
}

/* A holder is lost: exactly one waiter takes its place, whatever the grant interval. */
inline loseHolder(id) {
  before = len(queue);
  live[id] = false;
  early = false;
  promoteOne();
#ifdef BREAK_DOUBLE_PROMOTION
  promoteOne();
#endif
  assert(before - len(queue) == (before > 0))
}

/* `remember`: a late fill of such a token may be kept as stale. */
inline voidTokens(remember) {
  for (i : 0 .. CLIENTS - 1) {
    voided[i] = voided[i] || (live[i] && remember);
    live[i] = false
  }
}

/* Ends every lease and hold: what was voided is forgotten, too. */
inline write(readVersion) {
  for (i : 0 .. CLIENTS - 1) {
    voided[i] = false;
    live[i] = false
  }
  writer = NOBODY;
  refused = false;
  value = FRESH;
  version = readVersion;
  answerAll()
}

inline makeStale() {
  if
  :: value == FRESH -> value = STALE
  :: else
  fi
}

/* A late fill under a token that a delete voided. */
inline keepStale(readVersion) {
  value = STALE;
  version = readVersion
}

inline delete(ownVersion) {
  deleted = (ownVersion > deleted -> ownVersion : deleted);
  makeStale();
#ifndef BREAK_VOID
  voidTokens(true);
#endif
  writer = NOBODY;
  refused = false;
#ifndef BREAK_VOID_WITHOUT_PROMOTION
  promoteToFreePlaces()
#endif
}

inline hold(id) {
  makeStale();
#ifndef BREAK_HOLD
  voidTokens(false);
#endif
  refused = false;
  writer = id
}

inline loseWriter() {
  writer = NOBODY;
  early = false;
  promoteToFreePlaces()
}

/* --- The clients --- */
#define WAITS (_pid >= HOLDERS)
#define MY_TURN (asked[WAITS] == _pid - (WAITS -> HOLDERS : 0))
#ifdef BREAK_TOO_MANY_TOKENS
#define MAY_GRANT (TOKENS <= N && writer == NOBODY && !early)
#else
#define MAY_GRANT (TOKENS < N && writer == NOBODY && !early)
#endif

#ifdef BREAK_EXPIRED_TOKEN
#define MAY_FILL (!voided[_pid])
#elif defined(BREAK_STALE_FILL)
#define MAY_FILL (live[_pid] || voided[_pid])
#else
#define MAY_FILL live[_pid]
#endif

#ifdef BREAK_KEEP
#define MAY_KEEP true
#else
/* A late fill may have replaced the stale value that the holder compared with the database. */
#define MAY_KEEP (version == shown[_pid])
#endif

/* The end of a request. Nothing may be left behind: neither a message that nobody takes nor a lease without a holder. */
inline finish(isAnswered, isClosed) {
  assert(isAnswered == answered[_pid]);
  assert(inbox[_pid] == NOTHING);
  assert(!(isClosed && live[_pid]));
  answered[_pid] = false;
  voided[_pid] = false;
  shown[_pid] = 0;
  seen = 0;
  goto end
}

active [CLIENTS] proctype Client() {
  byte seen;

  /* The request: a hit or a failure, a lease, a hot miss, or a place in the queue. */
  atomic {
    MY_TURN -> asked[WAITS]++;
    if
    :: value == FRESH -> answer(_pid); finish(true, false)
    :: refused -> answer(_pid); finish(true, false)
    :: refused -> refused = false  /* its time is over */
    :: else
    fi;
    if
    :: MAY_GRANT -> grant(_pid); answer(_pid); seen = committed; goto holding
    :: else
    fi;
    if
    :: WAITS -> skip
    :: else -> answer(_pid); finish(true, false)
    fi;
#ifndef BREAK_PARK_WITHOUT_LOCK
    queue ! _pid
#endif
  }
#ifdef BREAK_PARK_WITHOUT_LOCK
  queue ! _pid;
#endif

  /* Parked. */
  if
  :: atomic { inbox[_pid] == OUTCOME -> inbox[_pid] = NOTHING; answer(_pid); finish(true, false) }
  :: atomic { inbox[_pid] == TOKEN -> inbox[_pid] = NOTHING; answer(_pid); seen = committed }
#ifndef PATIENT
    /* Its deadline, or mx. Only who is still in the queue is answered by its worker; to the others the message is the answer. */
  :: atomic { queue ?? [eval(_pid)] -> queue ?? eval(_pid); answer(_pid); finish(true, false) }
#ifdef BREAK_TIMEOUT_RACE
  :: atomic { inbox[_pid] != NOTHING -> answer(_pid); finish(true, false) }
#endif
    /* Its connection closes. A token that is under way to it then is lost as that of a holder that closes. */
  :: atomic { queue ?? [eval(_pid)] -> queue ?? eval(_pid); finish(false, true) }
  :: atomic {
      inbox[_pid] != NOTHING -> inbox[_pid] = NOTHING;
#ifndef BREAK_CLOSED_WAITER
      if
      :: live[_pid] -> loseHolder(_pid)
      :: else
      fi;
#endif
      finish(false, true)
    }
#endif
  fi;

  /* Granted. The later it acts, the more may have happened meanwhile; one that hangs acts after its lease is over. */
holding:
#ifndef NO_KEEP
  seen = committed;  /* it may read the database late */
#endif
  atomic {
    if
    :: MAY_FILL -> write(seen)
    :: live[_pid] ->  /* fail, pass */
      live[_pid] = false;
      refused = true;
      if
      :: true -> skip
      :: value == STALE -> value = ABSENT
      fi;
      answerAll()
    :: live[_pid] -> loseHolder(_pid)  /* release, or its connection closes */
    :: voided[_pid] && value != FRESH && !refused -> keepStale(seen)
    :: !live[_pid] -> skip  /* its write is refused */
#ifndef NO_KEEP
    :: live[_pid] && value == STALE && seen == shown[_pid] && MAY_KEEP -> write(version)
#endif
    fi;
    finish(true, false)
  }
end:
  false
}

/* --- The writers --- */
#define HAS_HOLD (writer == _pid)

active [WRITERS] proctype Writer() {
  byte mine;

  if
  :: atomic { writer == NOBODY -> hold(_pid) }
  :: true -> skip
  fi;
  atomic {
    committed++;
    mine = committed;
    /* With a hold everybody who read before is shut out already. */
    if
    :: HAS_HOLD -> deleted = mine
    :: else
    fi
  }
  if
  :: atomic { HAS_HOLD -> write(mine) }
  :: atomic { delete(mine) }
  :: atomic { HAS_HOLD -> loseWriter() }
  fi;
end:
  false
}

/* --- Time --- */
#define LEASE_EXPIRES(id) atomic { live[id] -> EXPIRE(id) }
#ifdef BREAK_LOST_WAKEUP
#define EXPIRE(id) live[id] = false
#else
#define EXPIRE(id) loseHolder(id)
#endif

active proctype Clock() {
end:
  do
  :: LEASE_EXPIRES(0)
  :: LEASE_EXPIRES(1)
  :: LEASE_EXPIRES(2)
  :: LEASE_EXPIRES(3)
  :: LEASE_EXPIRES(4)
  :: atomic { writer != NOBODY -> loseWriter() }
#ifdef GRANT_INTERVAL
  :: atomic { early -> early = false; promoteToFreePlaces() }
#endif
  od
}

#ifndef NO_WATCHER
active proctype Watcher() {
end:
  do
  :: TOO_MANY_TOKENS -> assert(!TOO_MANY_TOKENS)
  :: STALE_SERVED_AS_FRESH -> assert(!STALE_SERVED_AS_FRESH)
  :: FORGOTTEN_WAITER -> assert(!FORGOTTEN_WAITER)
  :: BROKEN_HOLD -> assert(!BROKEN_HOLD)
  od
}
#endif
