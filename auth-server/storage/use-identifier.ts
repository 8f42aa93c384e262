import { hash } from 'node:crypto'
import type { Prepared } from '@bankside/service-kit/prepared'

/** A proof may be dated this far ahead, so it stays acceptable longer than the library asks for it to be remembered. */
const rememberedLongerSeconds = 60

/**
 * Whether the identifier of an assertion or proof is used for the first time. One insert decides, so of many that ask at
 * once exactly one is told yes.
 *
 * @param expiresAt Seconds since the epoch, until when the identifier must be remembered.
 */
export async function useIdentifier(prepared: Prepared, issuer: string, identifier: string, expiresAt: number): Promise<boolean> {
  const inserted = await prepared.query(
    'oidc_used_identifier_insert',
    `insert into oidc.used_identifier (id_hash, expires_at) values ($1, $2)
     on conflict on constraint identifier_is_used_once do nothing returning true as inserted`,
    [hash('sha256', JSON.stringify([issuer, identifier]), 'buffer'), new Date((expiresAt + rememberedLongerSeconds) * 1000)],
  )
  return inserted.length === 1
}
