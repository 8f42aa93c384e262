import contexts from 'oidc-provider/lib/helpers/als.js'
import { extraTokenClaims } from 'oidc-provider/lib/helpers/configuration_result.js'
import epochTime from 'oidc-provider/lib/helpers/epoch_time.js'
import instance from 'oidc-provider/lib/helpers/weak_cache.js'
import * as library from 'oidc-provider/lib/models/formats/opaque.js'
import { membersOf } from './model-payload.ts'

export { generateTokenId, verify } from 'oidc-provider/lib/models/formats/opaque.js'

const withExtraClaims: ReadonlySet<string> = new Set(['AccessToken', 'ClientCredentials'])

/** As the library's, which picks what is to be kept and then defines it, member by member, a second time. */
export async function getValueAndPayload(provider: object, token: library.Token): Promise<library.Kept> {
  const members = membersOf(token.constructor)
  if (members.has('__proto__')) return library.getValueAndPayload(provider, token)
  const now = epochTime()
  const exp = token.exp || now + token.expiration
  const payload: Record<string, unknown> = exp ? { iat: token.iat || now, exp } : { iat: token.iat || now }
  for (const name of Object.keys(token)) if (members.has(name) && token[name] !== undefined) payload[name] = token[name]
  if (withExtraClaims.has(token.kind)) {
    const extra = extraTokenClaims(await instance(provider).configuration.extraTokenClaims(contexts.getStore(), token))
    Object.assign(token, { extra })
    payload['extra'] = extra
  }
  return { value: token.jti, payload }
}
