import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'

const identifiersPerStatement = 200
const statementsAtOnce = 2
/** The end of the year 9999: PostgreSQL and JavaScript agree about it. */
const latestMs = 253_402_300_799_000

/** Whether an identifier, by its SHA-256 in hex, is used for the first time; and until when that is remembered. */
export type UseIdentifier = (hash: string, until: Date) => Promise<boolean>

/**
 * One insert decides, so of many that ask at once, in whatever process, exactly one is told yes: it is durable before
 * anybody is. What is asked in one turn goes in one statement, since each commit waits for the disk. Within it hashes are
 * sorted, so that two statements never wait for each other.
 */
export const identifierUse = (prepared: Prepared): UseIdentifier => useOnce(prepared, identifiers)

/**
 * The same for proofs of possession, of which there is one with every request: where `until` follows from the proof itself, so that
 * the same proof is of the same hour whenever it comes. What is used up is dropped by the hour.
 */
export const proofUse = (prepared: Prepared): UseIdentifier => useOnce(prepared, proofs)

type Statement = { readonly name: string; readonly one: string; readonly many: string }
const several = 'from unnest($1::text[], $2::timestamptz[]) as use (hash, until)'

const identifiers: Statement = {
  name: 'use_identifier',
  one: `
    insert into oidc.used_identifier (id_hash, expires_at) values (decode($1, 'hex'), $2)
    on conflict on constraint identifier_is_used_once do nothing returning true as used`,
  many: `
    insert into oidc.used_identifier (id_hash, expires_at) select decode(hash, 'hex'), until ${several}
    on conflict on constraint identifier_is_used_once do nothing returning encode(id_hash, 'hex') as hash`,
}
const proofs: Statement = {
  name: 'use_proof',
  one: `
    insert into oidc.used_proof (hour, id_hash) values (date_trunc('hour', $2::timestamptz, 'UTC'), decode($1, 'hex'))
    on conflict on constraint proof_is_used_once do nothing returning true as used`,
  many: `
    insert into oidc.used_proof (hour, id_hash) select date_trunc('hour', until, 'UTC'), decode(hash, 'hex') ${several}
    on conflict on constraint proof_is_used_once do nothing returning encode(id_hash, 'hex') as hash`,
}

function useOnce(prepared: Prepared, statement: Statement): UseIdentifier {
  const insert = gather((uses: readonly Use[]) => insertAll(prepared, statement, uses), {
    atMost: identifiersPerStatement,
    callsAtOnce: statementsAtOnce,
  })
  return async (hash, until) => {
    // Whatever else it is must not fail the others of its statement.
    if (!(until.getTime() > 0 && until.getTime() <= latestMs)) throw new Error('an identifier is remembered until a time')
    return insert({ hash, until })
  }
}

type Use = { readonly hash: string; readonly until: Date }

async function insertAll(prepared: Prepared, statement: Statement, uses: readonly Use[]): Promise<readonly boolean[]> {
  // Of two that are the same, the first is the use.
  const firsts = new Map<string, Use>()
  for (const use of uses) if (!firsts.has(use.hash)) firsts.set(use.hash, use)
  const distinct = [...firsts.values()].sort((one, other) => (one.hash < other.hash ? -1 : 1))
  const { name } = statement
  const [only, another] = distinct
  if (only !== undefined && another === undefined) {
    const used = await prepared.query(name, statement.one, [only.hash, only.until])
    return uses.map((use) => use === only && used.length > 0)
  }
  const inserted = await prepared.query<{ hash: string }>(`${name}s`, statement.many, [
    distinct.map((use) => use.hash),
    distinct.map((use) => use.until),
  ])
  const unused = new Set(inserted.map((row) => row.hash))
  return uses.map((use) => firsts.get(use.hash) === use && unused.has(use.hash))
}
