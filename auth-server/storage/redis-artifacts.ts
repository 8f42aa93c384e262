import type { Clock } from '@bankside/service-kit/clock'
import { type RedisScript, type RedisStore, redisKeyPrefix, redisScript } from '@bankside/service-kit/redis'
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { protocolErrors } from '../protocol-errors.ts'
import type { Artifact } from './adapter.ts'
import { handleHash } from './handle-hash.ts'
import { wasThere } from './lasting-sessions.ts'
import { expiry, named } from './postgres-artifacts.ts'
import type { SealedPayloads } from './sealed-payloads.ts'

/** Ends a session by its name, whatever its handle is by now. */
export type DestroysByUid = { destroyByUid(uid: string): Promise<void> }

/** A row: p is the sealed payload, g the grant, c when it was used up, in seconds. */
const scripts = {
  put: redisScript(`
    redis.call('HSET', KEYS[1], 'p', ARGV[1])
    return redis.call('PEXPIREAT', KEYS[1], ARGV[2])`),
  // A session changes its handle and keeps its uid: the new row takes the place of the old one. A name whose row is gone, or that is
  // gone itself, is of a session that has ended: whoever read it before that does not bring it back.
  putWithUid: redisScript(`
    local old = redis.call('GET', KEYS[2])
    if old and redis.call('EXISTS', old) == 0 or ARGV[3] == 'read' and not old then return false end
    if old and old ~= KEYS[1] then redis.call('DEL', old) end
    redis.call('HSET', KEYS[1], 'p', ARGV[1])
    redis.call('PEXPIREAT', KEYS[1], ARGV[2])
    return redis.call('SET', KEYS[2], KEYS[1], 'PXAT', ARGV[2])`),
  // What a grant is the reason for is remembered for as long as any of it is there.
  putWithGrant: redisScript(`
    redis.call('HSET', KEYS[1], 'p', ARGV[1], 'g', ARGV[3])
    redis.call('PEXPIREAT', KEYS[1], ARGV[2])
    redis.call('SADD', KEYS[2], KEYS[1])
    if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIREAT', KEYS[2], ARGV[2]) end
    return 1`),
  find: redisScript(`return redis.call('HMGET', KEYS[1], 'p', 'c')`),
  findByUid: redisScript(`
    local row = redis.call('GET', KEYS[1])
    if not row then return {false} end
    return {redis.call('HGET', row, 'p'), row}`),
  // 1 for the first; for whoever comes second, the grant, or 0.
  consume: redisScript(`
    if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
    if redis.call('HSETNX', KEYS[1], 'c', ARGV[1]) == 1 then return 1 end
    return redis.call('HGET', KEYS[1], 'g') or 0`),
  destroy: redisScript(`return redis.call('DEL', KEYS[1])`),
  // The name stays, for whoever read the session before.
  destroyByUid: redisScript(`
    local row = redis.call('GET', KEYS[1])
    return row and redis.call('DEL', row)`),
  useUpOfGrant: redisScript(`
    for _, row in ipairs(redis.call('SMEMBERS', KEYS[1])) do
      if redis.call('EXISTS', row) == 1 then redis.call('HSETNX', row, 'c', ARGV[1]) end
    end
    return 1`),
} as const

/**
 * The same contract as in PostgreSQL, one script for each act. Only what is refused when it is not there may be here: a store
 * that forgets must not thereby allow anything. While Redis does not answer, nothing is found and nothing is missing: the
 * library answers 503.
 */
export function redisArtifacts(
  redis: RedisStore,
  clock: Clock,
  payloads: SealedPayloads,
  { table, columns, usedUp, secondUseRevokesGrant, keptSeconds }: Artifact,
  revokeGrant: (grantId: string) => Promise<void>,
): Partial<Adapter> & DestroysByUid {
  const ask = (script: RedisScript, keys: string[], values?: (string | number)[]) => protocolErrors(redis.run(script, keys, values))
  const rowOf = (hash: string) => `${redisKeyPrefix}${table}:${hash}`
  const uidOf = (uid: unknown) => `${redisKeyPrefix}${table}:uid:${String(uid)}`
  const grantOf = (grantId: unknown) => `${redisKeyPrefix}${table}:grant:${String(grantId)}`
  const hashOf = (id: string) => handleHash(id).toString('base64url')
  const nowSeconds = () => Math.floor(clock.now().getTime() / 1000)

  return {
    async upsert(id, payload, expiresIn) {
      const hash = hashOf(id)
      const expiresAtMs = expiry(clock, expiresIn, keptSeconds).getTime()
      const values = [payloads.seal(hash, payload), expiresAtMs]
      if (columns.uid !== undefined) {
        const put = await ask(scripts.putWithUid, [rowOf(hash), uidOf(payload.uid)], [...values, wasThere(payload) ? 'read' : 'new'])
        if (put === null) throw new errors.SessionNotFound('the session ended meanwhile')
      } else if (columns.grant_id === undefined) await ask(scripts.put, [rowOf(hash)], values)
      else {
        const keys = [rowOf(hash), grantOf(payload.grantId)]
        await ask(scripts.putWithGrant, keys, [...values, String(payload.grantId), expiresAtMs - clock.now().getTime()])
      }
    },
    async find(id) {
      const hash = hashOf(id)
      const [sealed, used] = (await ask(scripts.find, [rowOf(hash)])) as (string | null)[]
      const payload = sealed ? payloads.open(hash, sealed) : undefined
      return payload && { ...payload, jti: id, ...(used && { consumed: Number(used) }) }
    },
    async findByUid(uid): Promise<AdapterPayload | undefined> {
      const [sealed, row] = (await ask(scripts.findByUid, [uidOf(uid)])) as (string | null | undefined)[]
      return named(sealed && row ? payloads.open(row.slice(rowOf('').length), sealed) : undefined, uid)
    },
    async consume(id) {
      const outcome = await ask(scripts.consume, [rowOf(hashOf(id))], [nowSeconds()])
      if (outcome === 1 || !usedUp) return
      if (secondUseRevokesGrant && typeof outcome === 'string') await revokeGrant(outcome)
      throw usedUp()
    },
    async destroy(id) {
      await ask(scripts.destroy, [rowOf(hashOf(id))])
    },
    async destroyByUid(uid) {
      await ask(scripts.destroyByUid, [uidOf(uid)])
    },
    async revokeByGrantId(grantId) {
      await ask(scripts.useUpOfGrant, [grantOf(grantId)], [nowSeconds()])
    },
  }
}
