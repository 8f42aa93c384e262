import { hash } from 'node:crypto'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'

/** A proof may be dated this far ahead, so it stays acceptable longer than the library asks for it to be remembered. */
const rememberedLongerSeconds = 60
/** The end of the year 9999: PostgreSQL and JavaScript agree about it. */
const latestSeconds = 253_402_300_799
const identifiersPerStatement = 200
const statementsAtOnce = 2

/** Whether the identifier of an assertion or proof is used for the first time. Seconds since the epoch say how long it must be remembered. */
export type UseIdentifier = (issuer: string, identifier: string, expiresAt: number) => Promise<boolean>

/**
 * One insert decides, so of many that ask at once, in whatever process, exactly one is told yes. What is asked in one turn
 * goes in one statement: each commit waits for the disk. Within it hashes are sorted, so that two statements never wait for
 * each other.
 */
export function identifierUse(prepared: Prepared): UseIdentifier {
  const insert = gather((uses: readonly Use[]) => insertAll(prepared, uses), {
    atMost: identifiersPerStatement,
    callsAtOnce: statementsAtOnce,
  })
  return async (issuer, identifier, expiresAt) => {
    // Whatever else it is must not fail the others of its statement.
    if (!(expiresAt > 0 && expiresAt + rememberedLongerSeconds <= latestSeconds))
      throw new Error('an identifier is remembered until a time')
    const until = new Date((expiresAt + rememberedLongerSeconds) * 1000)
    return insert({ hash: hash('sha256', JSON.stringify([issuer, identifier]), 'hex'), until })
  }
}

type Use = { readonly hash: string; readonly until: Date }

async function insertAll(prepared: Prepared, uses: readonly Use[]): Promise<readonly boolean[]> {
  // Of two that are the same, the first is the use.
  const firsts = new Map<string, Use>()
  for (const use of uses) if (!firsts.has(use.hash)) firsts.set(use.hash, use)
  const distinct = [...firsts.values()].sort((one, other) => (one.hash < other.hash ? -1 : 1))
  const inserted = await prepared.query<{ hash: string }>(
    'oidc_used_identifier_insert',
    `insert into oidc.used_identifier (id_hash, expires_at) select decode(hash, 'hex'), until from unnest($1::text[], $2::timestamptz[]) as use (hash, until)
     on conflict on constraint identifier_is_used_once do nothing returning encode(id_hash, 'hex') as hash`,
    [distinct.map((use) => use.hash), distinct.map((use) => use.until)],
  )
  const unused = new Set(inserted.map((row) => row.hash))
  return uses.map((use) => firsts.get(use.hash) === use && unused.has(use.hash))
}
