import { randomUUID } from 'node:crypto'
import type { Client, Provider } from 'oidc-provider'

const backchannelLogout = 'http://schemas.openid.net/event/backchannel-logout'

/** The library's class of signed JWTs, as far as its types do not say. */
type LogoutToken = {
  mask: Record<string, null>
  set(name: string, value: unknown): void
  issue(options: { use: 'logout' }): Promise<string>
}
type LogoutTokens = { new (available: object, options: { client: Client; ctx: undefined }): LogoutToken }

/**
 * Back-Channel Logout section 2.4: `typ: logout+jwt`, two minutes, the event, never a nonce. The customer goes by the name that
 * this client knows, and so does the session.
 */
export async function logoutToken(
  { IdToken }: Provider,
  client: Client,
  { customerId, sid }: { readonly customerId: string; readonly sid: string | undefined },
): Promise<string> {
  const token = new (IdToken as unknown as LogoutTokens)({ sub: customerId }, { client, ctx: undefined })
  token.mask = { sub: null }
  token.set('events', { [backchannelLogout]: {} })
  token.set('jti', randomUUID())
  if (sid !== undefined) token.set('sid', sid)
  return token.issue({ use: 'logout' })
}
