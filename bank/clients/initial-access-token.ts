import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'

export type InitialAccessToken = {
  readonly tokenHash: Buffer
  /** For whom it was made. */
  readonly note: string
  /** What who registers with it may ask for, at most. */
  readonly scopes: readonly string[]
  readonly uses: number
  readonly expiresAt: Date
  readonly now: Date
}

/** Lets somebody register so many times, until then. Only the hash of the token is known here. */
export async function allowRegistration(
  tx: Transaction,
  { tokenHash, note, scopes, uses, expiresAt, now }: InitialAccessToken,
): Promise<void> {
  await tx.query(sql.unsafe`
    insert into clients.initial_access_token (token_hash, note, scopes, uses_left, created_at, expires_at)
    values (${sql.binary(tokenHash)}, ${note}, ${sql.array([...scopes], 'text')}, ${uses}, ${sql.timestamp(now)}, ${sql.timestamp(expiresAt)})`)
  const details = { scopes, uses, expiresAt: expiresAt.toISOString() }
  await appendAudit(tx, { actor: 'operator', action: 'client.registration_allowed', subject: note, details, now })
}

/** @returns the scopes of a token that may register now, or undefined. It is not used up by asking. */
export async function findInitialAccessToken(tx: Transaction, tokenHash: Buffer, now: Date): Promise<readonly string[] | undefined> {
  const row = await tx.maybeOne(sql.type(z.object({ scopes: z.array(z.string()) }))`
    select scopes from clients.initial_access_token
    where token_hash = ${sql.binary(tokenHash)} and uses_left > 0 and expires_at > ${sql.timestamp(now)}`)
  return row?.scopes
}

/** Uses a token up once, in the transaction of the registration. @returns false for one that serves nobody. */
export async function useInitialAccessToken(tx: Transaction, tokenHash: Buffer, now: Date): Promise<boolean> {
  const { scopes } = await tx.one(sql.type(z.object({ scopes: z.array(z.string()).nullable() }))`
    select clients.use_initial_access_token(${sql.binary(tokenHash)}, ${sql.timestamp(now)}) as scopes`)
  return scopes !== null
}
