import type { Clock } from '@bankside/service-kit/clock'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Artifact } from './adapter.ts'
import type { AnswerWrites } from './answer-writes.ts'
import { handleHash } from './handle-hash.ts'
import { insertText, type Target } from './insert-text.ts'
import type { KeyedRows } from './keyed-rows.ts'
import { wasThere } from './lasting-sessions.ts'
import type { PushedWrites } from './pushed-writes.ts'
import type { SealedPayloads } from './sealed-payloads.ts'
import type { TokenWrites } from './token-writes.ts'

const rowsPerStatement = 100
const statementsAtOnce = 2
const fixedColumns = [
  { name: 'id_hash', type: 'bytea' },
  { name: 'payload', type: 'text' },
  { name: 'expires_at', type: 'timestamptz' },
] as const

/** In the order of the columns. */
type Written = { readonly hash: Buffer; readonly values: readonly unknown[] }
type Row = { readonly id_hash: Buffer; readonly payload: string }

/**
 * A narrow table per model; what requests of one turn find and write there goes together. What may be used once is used up by one
 * statement that succeeds once, however many ask at the same time.
 */
export function postgresArtifacts(
  { prepared, rows, answers, tokens, pushed, clock }: Storing,
  payloads: SealedPayloads,
  artifact: Artifact,
): Partial<Adapter> {
  const { table, columns, usedUp, secondUseRevokesGrant, mayBeLost = false, keptSeconds, withAnswer } = artifact
  const extra = Object.keys(columns) as (keyof typeof columns)[]
  const target = targetOf(table, extra)
  const find = rows({
    name: table,
    table: `oidc.${table}`,
    key: { column: 'id_hash', type: 'bytea' },
    payload: 'payload',
    ...(usedUp && { consumedAt: 'consumed_at' }),
    condition: 'expires_at > $1',
  })
  const together = { atMost: rowsPerStatement, callsAtOnce: statementsAtOnce }
  const write = gather(async (rows: readonly Written[]) => {
    await writeRows(prepared, { target, rows, mayBeLost })
    return rows.map(() => undefined)
  }, together)

  return {
    async upsert(id, payload, expiresIn) {
      const hash = handleHash(id)
      const extras = extra.map((column) => payload[columns[column] ?? column] ?? null)
      const values = [hash, payloads.seal(hash, payload), expiry(clock, expiresIn, keptSeconds), ...extras]
      if (withAnswer === 'begins' && (await pushed.write(values))) return
      if (withAnswer === 'joins' && answers.joins({ ...target, values })) return
      if (withAnswer === 'completes' && (await answers.write({ ...target, values }))) return
      if (withAnswer === 'completes_tokens' && (await tokens.write({ ...target, values }))) return
      if (!wasThere(payload)) return await write({ hash, values })
      const [there] = await prepared.query(`oidc_${table}_update`, updateText(target), values)
      if (there === undefined) throw new errors.SessionNotFound('the session ended meanwhile')
    },
    async find(id) {
      const hash = handleHash(id)
      const row = await find(hash)
      const payload = row && payloads.open(hash, row.payload)
      return payload && { ...payload, jti: id, ...consumedAt(row?.consumed_at) }
    },
    async findByUid(uid) {
      // By its key alone, as in keyed-rows.ts.
      const text = `select id_hash, payload from (
        select id_hash, payload, expires_at from oidc.${table} where uid = $1 offset 0) as found where expires_at > $2`
      const [row] = await prepared.query<Row>(`oidc_${table}_find_by_uid`, text, [uid, clock.now()])
      return named(row && payloads.open(row.id_hash, row.payload), uid)
    },
    async consume(id) {
      const use = { hash: handleHash(id), at: clock.now() }
      const revokeGrant = async () => prepared.query(`oidc_${table}_used_twice`, revokeGrantText(table), [use.hash, clock.now()])
      if (withAnswer === 'begins' && usedUp && answers.useUpLater({ ...use, refuse: usedUp })) return
      if (withAnswer === 'completes' && usedUp && tokens.useUpLater({ ...use, refuse: usedUp, revokeGrant })) return
      const text = `update oidc.${table} set consumed_at = $2 where id_hash = $1 and consumed_at is null returning true as consumed`
      const consumed = await prepared.query(`oidc_${table}_consume`, text, [use.hash, use.at])
      if (consumed.length > 0 || !usedUp) return
      if (secondUseRevokesGrant) await revokeGrant()
      throw usedUp()
    },
    async destroy(id) {
      if (withAnswer === 'is_forgotten' && answers.forgetLater(handleHash(id))) return
      await prepared.query(`oidc_${table}_destroy`, `delete from oidc.${table} where id_hash = $1`, [handleHash(id)])
    },
    async revokeByGrantId(grantId) {
      if (secondUseRevokesGrant) await prepared.query(`oidc_${table}_revoke`, useUpText(table), [grantId, clock.now()])
      else await prepared.query(`oidc_${table}_revoke`, `delete from oidc.${table} where grant_id = $1`, [grantId])
    },
  }
}

type Storing = {
  readonly prepared: Prepared
  readonly rows: KeyedRows
  readonly answers: AnswerWrites
  readonly tokens: TokenWrites
  readonly pushed: PushedWrites
  readonly clock: Clock
}

/** A session changes its handle and keeps its uid (after sign-in): two tabs that do so at once must not collide. */
const targetOf = (table: string, extra: readonly string[]): Target => ({
  table,
  columns: [...fixedColumns, ...extra.map((name) => ({ name, type: 'text' as const }))],
  replaces: extra.includes('uid') ? 'uid' : 'id_hash',
})

type Writing = { readonly target: Target; readonly rows: readonly Written[]; readonly mayBeLost: boolean }

async function writeRows(prepared: Prepared, { target, rows, mayBeLost }: Writing): Promise<void> {
  const { table } = target
  // Of two for the same row the later one counts; sorted, so that two statements never wait for each other.
  const latest = [...new Map(rows.map((row) => [keyOf(row, target), row])).entries()].sort(([one], [other]) => (one < other ? -1 : 1))
  const values = latest.map(([, row]) => row.values)
  const [only = [], another] = values
  if (another === undefined) {
    await prepared.query(`oidc_${table}_upsert_one`, upsertText(target, 'one'), only, { mayBeLost })
    return
  }
  const lists = only.map((_, index) => values.map((ofRow) => ofRow[index]))
  await prepared.query(`oidc_${table}_upsert`, upsertText(target, 'many'), lists, { mayBeLost })
}

const consumedAt = (time: Date | null | undefined) => time && { consumed: Math.floor(time.getTime() / 1000) }

/** The uid is sealed with the rest: a row that somebody gave another one is not found by it. */
export const named = (payload: AdapterPayload | undefined, uid: string) => (payload?.uid === uid ? payload : undefined)

/** The library revokes when it finds a used code; of two that found it unused, the one that comes second does it here. */
const revokeGrantText = (table: string) => `update oidc.grant set revoked_at = $2
  where revoked_at is null and grant_id = (select grant_id from oidc.${table} where id_hash = $1)`

/** What is used once is not removed before its time, or it could be written anew: this process may not even do so. */
const useUpText = (table: string) => `update oidc.${table} set consumed_at = $2 where grant_id = $1 and consumed_at is null`

const keyOf = ({ hash, values }: Written, { columns, replaces }: Target): string =>
  replaces === 'uid' ? String(values[columns.findIndex(({ name }) => name === replaces)]) : hash.toString('hex')

/** For a row that was read: should it be gone, it stays so. */
function updateText({ table, columns, replaces }: Target): string {
  const places = columns.map(({ name }, index) => ({ name, place: `${name} = $${index + 1}` }))
  const [set, where] = [places.filter(({ name }) => name !== replaces), places.filter(({ name }) => name === replaces)]
  return `update oidc.${table} set ${set.map(({ place }) => place).join(', ')} where ${where.map(({ place }) => place).join()} returning true as there`
}

function upsertText(target: Target, rows: 'one' | 'many'): string {
  const places = target.columns.map(({ type }, index) => (rows === 'one' ? `$${index + 1}` : `$${index + 1}::${type}[]`)).join(', ')
  return insertText(target, rows === 'one' ? `values (${places})` : `select * from unnest(${places})`)
}

export function expiry(clock: Clock, expiresInSeconds: number | undefined, keptSeconds: number): Date {
  if (expiresInSeconds === undefined) throw new Error('everything stored expires')
  return new Date(clock.now().getTime() + (expiresInSeconds + keptSeconds) * 1000)
}
