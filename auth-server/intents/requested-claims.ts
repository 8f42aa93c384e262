import { type ClaimsParameter, errors, type KoaContextWithOIDC } from 'oidc-provider'

/** What a journey here reaches: password and one-time code, always. */
export const acrOfSca = 'urn:openbanking:psd2:sca'
export const amrOfSca = ['pwd', 'otp']

/** Several times what anyone asks for. What is longer could be nested deeper than JSON can be written. */
const claimsLimit = 4_096

/** The shape of the `claims` parameter, as far as somebody acts on it. What the intent is, its ID token says. */
export function assertClaimsParameter(ctx: KoaContextWithOIDC, claims: ClaimsParameter): void {
  if (String(ctx.oidc.params?.['claims']).length > claimsLimit)
    throw new errors.InvalidRequest(`claims must have at most ${claimsLimit} characters`)
  claims.id_token ??= {}
  for (const place of ['id_token', 'userinfo'] as const)
    for (const [name, member] of Object.entries(claims[place] ?? {}))
      if (member !== null && (typeof member !== 'object' || Array.isArray(member)))
        throw new errors.InvalidRequest(`claims.${place}.${name} must be null or an object`)

  const intent = claims.id_token['openbanking_intent_id']
  if (intent !== undefined && typeof intent?.value !== 'string')
    throw new errors.InvalidRequest('claims.id_token.openbanking_intent_id must have a value')
  const acr = claims.id_token['acr']
  if (acr?.values !== undefined && !Array.isArray(acr.values))
    throw new errors.InvalidRequest('claims.id_token.acr.values must be an array')
  if (ctx.oidc.params) ctx.oidc.params['claims'] = JSON.stringify(claims)
}

/**
 * Whoever insists on an assurance we cannot give is told so at once (OIDC Core 5.5.1.1, RFC 9470 section 5): asking the
 * customer to sign in would not help, and giving another instead would be a silent exchange.
 */
export function assertReachableAcr(params: { readonly claims?: unknown; readonly acr_values?: unknown }): void {
  const { id_token } = (typeof params.claims === 'string' ? JSON.parse(params.claims) : {}) as ClaimsParameter
  const acr = id_token?.['acr']
  const demanded = acr?.essential === true ? ([acr.value, ...(acr.values ?? [])].filter((value) => value !== undefined) as unknown[]) : []
  const preferred = typeof params.acr_values === 'string' ? params.acr_values.split(' ') : []
  for (const wanted of [demanded, preferred])
    if (wanted.length > 0 && !wanted.includes(acrOfSca))
      throw new errors.UnmetAuthenticationRequirements('none of the requested acr values can be reached')
}
