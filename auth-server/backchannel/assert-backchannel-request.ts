import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Intent } from '../intents/intent.ts'
import { requestObjectOf } from './request-object.ts'

type Claims = Readonly<Record<string, unknown>>

/** User codes are the customer's to keep (UKDCR-11); a grant is managed where the browser comes back. */
const parametersNotHere = ['user_code', 'grant_management_action', 'grant_id']

const intentParameter = 'openbanking-intent-id'

/**
 * What a backchannel request must be beyond any other: signed, for `openid`, and for something that the customer can tell
 * from everything else that might be asked: a consent, or words that the client shows as well (CIBA-02).
 */
export async function assertBackchannelRequest(ctx: KoaContextWithOIDC, client: Client): Promise<void> {
  const signed = requestObjectOf(ctx)
  if (signed === undefined) throw new errors.InvalidRequest('the request must be a signed request object')
  if (!(await isFirstUse(ctx, client, signed))) throw new errors.InvalidRequest('jti was used before')
  if (!ctx.oidc.requestParamScopes.has('openid')) throw new errors.InvalidScope('openid is needed', 'openid')
  const notHere = parametersNotHere.find((name) => ctx.oidc.params?.[name] !== undefined)
  if (notHere !== undefined) throw new errors.InvalidRequest(`${notHere} is not supported here`)
  takeIntentParameter(ctx)
}

/** A request that is sent again would show the customer the same prompt again. */
const isFirstUse = (ctx: KoaContextWithOIDC, { clientId }: Client, { jti, exp }: Claims): Promise<boolean> =>
  ctx.oidc.provider.ReplayDetection.unique(`request object of ${clientId}`, String(jti), Number(exp))

/** @throws {InvalidRequest} */
export function assertRecognisable(ctx: KoaContextWithOIDC, intent: Intent | undefined): void {
  if (intent === undefined && ctx.oidc.params?.['binding_message'] === undefined)
    throw new errors.InvalidRequest('a consent must be named, or a binding_message given')
}

/**
 * The UK profile names the intent by a member of the request object. It is the claim `openbanking_intent_id` from here on: so
 * it comes back in the ID token, and must say the same where both are there (RW-TOK-07).
 *
 * @throws {InvalidRequest}
 */
function takeIntentParameter(ctx: KoaContextWithOIDC): void {
  const intent = requestObjectOf(ctx)?.[intentParameter]
  const { params } = ctx.oidc
  if (intent === undefined || params === undefined) return
  if (typeof intent !== 'string') throw new errors.InvalidRequest(`${intentParameter} must be a string`)
  const claims = (typeof params['claims'] === 'string' ? JSON.parse(params['claims']) : {}) as ClaimsParameter
  const claimed = claims.id_token?.['openbanking_intent_id']
  if (claimed?.value !== undefined && claimed.value !== intent)
    throw new errors.InvalidRequest(`${intentParameter} and openbanking_intent_id name different consents`)
  params['claims'] = JSON.stringify({ ...claims, id_token: { ...claims.id_token, openbanking_intent_id: { ...claimed, value: intent } } })
}

type ClaimsParameter = { readonly id_token?: Readonly<Record<string, { readonly value?: unknown } | null>> }
