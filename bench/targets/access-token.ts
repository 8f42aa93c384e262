import { randomUUID } from 'node:crypto'
import { seconds, signJwt } from '../load/signing.ts'
import type { AccessTokenKey } from './target.ts'

const lifetimeSeconds = 300

/**
 * A token as the authorization server of the target would issue it, signed with its key. A payment needs a token of its
 * own: thousands cannot be fetched through sign-in pages before each round, and the issuing is measured elsewhere.
 */
export function mintAccessToken(key: AccessTokenKey, claims: object): string {
  const now = seconds()
  return signJwt(key, { typ: 'at+jwt' }, { iat: now, exp: now + lifetimeSeconds, jti: randomUUID(), auth_time: now, ...claims })
}
