import { revokeToken } from '@bankside/bank/access/revoke-token'
import { consentOfGrant, giveUpConsent } from '@bankside/bank/consents/give-up-consent'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction, transact } from '@bankside/service-kit/postgres'
import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC, RefreshToken } from 'oidc-provider'
import type { Context } from '../http/request-context.ts'
import { protocolErrors } from '../protocol-errors.ts'

type Revocable = AccessToken | ClientCredentials | RefreshToken

/**
 * RFC 7009: a client revokes its own tokens only. A third party that revokes its refresh token gives up what the customer
 * allowed: grant, tokens and consent end together, before the library goes on to forget the token (REV-01, GM-12). The
 * customer can be asked for the same consent again. An access token ends alone (section 2.1 leaves it open): the next one is
 * had by the refresh token.
 *
 * @returns whether the library goes on to end the token, and the grant with it.
 */
export const createRevocationPolicy =
  (database: Database, clock: Clock) =>
  async (ctx: KoaContextWithOIDC, client: Client, token: Revocable): Promise<boolean> => {
    if (token.clientId !== client.clientId) return false
    const { grantId } = token as RefreshToken
    if (token.kind !== 'RefreshToken') return endAlone(token, database)
    if (grantId === undefined) return true
    const { clientId } = client
    const order = { clientId, through: 'token_revocation', interactionId: (ctx as unknown as Context).state.requestId } as const
    await protocolErrors(
      transact(database, async (tx) => {
        const consentId = await consentOfGrant(tx, { grantId, clientId })
        if (consentId !== undefined) await giveUpConsent(tx, { ...order, consentId, now: clock.now() })
      }),
    )
    return true
  }

async function endAlone({ jti, exp }: AccessToken | ClientCredentials, database: Database): Promise<false> {
  if (exp === undefined) throw new Error('an access token has an end')
  await protocolErrors(outsideTransaction(database, (tx) => revokeToken(tx, { jti, expiresAt: new Date(exp * 1000) })))
  return false
}
