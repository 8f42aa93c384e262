import type { Clock } from '@bankside/service-kit/clock'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Artifact } from './adapter.ts'
import type { AnswerRow, AnswerWrites } from './answer-writes.ts'
import { handleHash } from './handle-hash.ts'
import type { KeyedRows } from './keyed-rows.ts'
import type { SealedPayloads } from './sealed-payloads.ts'
import type { TokenWrites } from './token-writes.ts'

const rowsPerStatement = 100
const statementsAtOnce = 2
const fixedColumns = ['id_hash', 'payload', 'expires_at']

/** In the order of the columns. */
type Written = { readonly hash: Buffer; readonly values: readonly unknown[] }
type Row = { readonly id_hash: Buffer; readonly payload: string }

/**
 * A narrow table per model; what requests of one turn find and write there goes together. What may be used once is used up by one
 * statement that succeeds once, however many ask at the same time.
 */
export function postgresArtifacts(
  { prepared, rows, answers, tokens, clock }: Storing,
  payloads: SealedPayloads,
  artifact: Artifact,
): Partial<Adapter> {
  const { table, columns, usedUp, secondUseRevokesGrant, mayBeLost = false, keptSeconds, withAnswer } = artifact
  const extra = Object.keys(columns) as (keyof typeof columns)[]
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
    await writeRows(prepared, { table, extra, rows, mayBeLost })
    return rows.map(() => undefined)
  }, together)

  const ofAnswer = answerRow(table, extra)

  return {
    async upsert(id, payload, expiresIn) {
      const hash = handleHash(id)
      const extras = extra.map((column) => payload[columns[column] ?? column])
      const values = [hash, payloads.seal(hash, payload), expiry(clock, expiresIn, keptSeconds), ...extras]
      if (withAnswer === 'joins' && answers.joins(ofAnswer(values))) return
      if (withAnswer === 'completes' && (await answers.write(ofAnswer(values)))) return
      if (withAnswer === 'completes_tokens' && (await tokens.write(ofAnswer(values)))) return
      await write({ hash, values })
    },
    async find(id) {
      const hash = handleHash(id)
      const row = await find(hash)
      const payload = row && payloads.open(hash, row.payload)
      return payload && { ...payload, jti: id, ...consumedAt(row?.consumed_at) }
    },
    async findByUid(uid) {
      const text = `select id_hash, payload from oidc.${table} where uid = $1 and expires_at > $2`
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
  readonly clock: Clock
}

/** As {@link upsertText} writes it. */
function answerRow(table: string, extra: readonly string[]): (values: readonly unknown[]) => AnswerRow {
  const columns = [...fixedColumns, ...extra].map((name, index) => ({ name, type: typesOf(extra)[index] ?? 'text' }))
  const replaces = conflictOf(extra)
  return (values) => ({ table, columns, replaces, values: values.map((value) => value ?? null) })
}

const typesOf = (extra: readonly string[]) => ['bytea', 'text', 'timestamptz', ...extra.map(() => 'text' as const)] as const

type Writing = { readonly table: string; readonly extra: readonly string[]; readonly rows: readonly Written[]; readonly mayBeLost: boolean }

async function writeRows(prepared: Prepared, { table, extra, rows, mayBeLost }: Writing): Promise<void> {
  // Of two for the same row the later one counts; sorted, so that two statements never wait for each other.
  const latest = [...new Map(rows.map((row) => [keyOf(row, extra), row])).entries()].sort(([one], [other]) => (one < other ? -1 : 1))
  const values = latest.map(([, row]) => row.values)
  const [only = [], another] = values
  if (another === undefined) {
    const one = only.map((value) => value ?? null)
    await prepared.query(`oidc_${table}_upsert_one`, upsertText(table, extra, 'one'), one, { mayBeLost })
    return
  }
  const lists = only.map((_, index) => values.map((ofRow) => ofRow[index] ?? null))
  await prepared.query(`oidc_${table}_upsert`, upsertText(table, extra, 'many'), lists, { mayBeLost })
}

const consumedAt = (time: Date | null | undefined) => time && { consumed: Math.floor(time.getTime() / 1000) }

/** The uid is sealed with the rest: a row that somebody gave another one is not found by it. */
export const named = (payload: AdapterPayload | undefined, uid: string) => (payload?.uid === uid ? payload : undefined)

/** The library revokes when it finds a used code; of two that found it unused, the one that comes second does it here. */
const revokeGrantText = (table: string) => `update oidc.grant set revoked_at = $2
  where revoked_at is null and grant_id = (select grant_id from oidc.${table} where id_hash = $1)`

/** What is used once is not removed before its time, or it could be written anew: this process may not even do so. */
const useUpText = (table: string) => `update oidc.${table} set consumed_at = $2 where grant_id = $1 and consumed_at is null`

const conflictOf = (extra: readonly string[]) => (extra.includes('uid') ? 'uid' : 'id_hash')
const keyOf = ({ hash, values }: Written, extra: readonly string[]): string =>
  conflictOf(extra) === 'uid' ? String(values[fixedColumns.length + extra.indexOf('uid')]) : hash.toString('hex')

/** A session changes its handle and keeps its uid (after sign-in): two tabs that do so at once must not collide. */
function upsertText(table: string, extra: readonly string[], rows: 'one' | 'many'): string {
  const columns = [...fixedColumns, ...extra]
  const types = typesOf(extra)
  const conflict = conflictOf(extra)
  const assignments = columns.filter((column) => column !== conflict).map((column) => `${column} = excluded.${column}`)
  const places = types.map((type, index) => (rows === 'one' ? `$${index + 1}` : `$${index + 1}::${type}[]`)).join(', ')
  const source = rows === 'one' ? `values (${places})` : `select * from unnest(${places})`
  return `insert into oidc.${table} (${columns.join(', ')}) ${source}
    on conflict (${conflict}) do update set ${assignments.join(', ')}`
}

export function expiry(clock: Clock, expiresInSeconds: number | undefined, keptSeconds: number): Date {
  if (expiresInSeconds === undefined) throw new Error('everything stored expires')
  return new Date(clock.now().getTime() + (expiresInSeconds + keptSeconds) * 1000)
}
