import { hash } from 'node:crypto'
import { sql, type Transaction, z } from '@bankside/service-kit/postgres'

/** What a token is known by where it was taken back: `jti` is no secret, but nothing else needs it in clear. */
export const revokedTokenHash = (jti: string): Buffer => hash('sha256', jti, 'buffer')

/** Takes back one access token, and nothing beside it. The very next call with it is refused. */
export async function revokeToken(tx: Transaction, { jti, expiresAt }: { readonly jti: string; readonly expiresAt: Date }): Promise<void> {
  await tx.query(sql.unsafe`
    insert into oidc.revoked_token (token_hash, expires_at) values (${sql.binary(revokedTokenHash(jti))}, ${sql.timestamp(expiresAt)})
    on conflict on constraint revoked_token_is_revoked_once do nothing`)
}

export async function isTokenRevoked(tx: Transaction, jti: string): Promise<boolean> {
  const { revoked } = await tx.one(sql.type(z.object({ revoked: z.boolean() }))`
    select exists (select from oidc.revoked_token where token_hash = ${sql.binary(revokedTokenHash(jti))}) as revoked`)
  return revoked
}
