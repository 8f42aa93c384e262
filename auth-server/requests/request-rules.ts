import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { profileOf } from '../client-policy/profiles.ts'

/**
 * The row of the client's profile, as far as an authorization request is concerned. The library has applied most of it by
 * what the client registered; this holds whatever the library does, and whatever stands in a registration.
 */
export function assertRequestRules({ oidc }: KoaContextWithOIDC, client: Client): void {
  const { params = {}, route } = oidc
  const { pushedRequests, requestObjects, responseTypes, nonceOrState } = profileOf(client)
  const pushed = route === 'pushed_authorization_request' || 'PushedAuthorizationRequest' in oidc.entities
  if (pushedRequests === 'required' && !pushed) throw new errors.InvalidRequest('the request must be pushed')
  if (pushedRequests === 'refused') throw new errors.UnauthorizedClient('this client makes no authorization requests')
  if (!responseTypes.includes(String(params['response_type']))) throw new errors.UnsupportedResponseType()
  assertResponseMode(client, params['response_mode'], String(params['response_type']))
  if (requestObjects === 'required' && oidc.trusted === undefined) throw new errors.InvalidRequest('the request must be signed')
  const needed = oidc.requestParamScopes.has('openid') ? 'nonce' : 'state'
  if (nonceOrState === 'required' && params[needed] === undefined) throw new errors.InvalidRequest(`${needed} is needed`)
}

function assertResponseMode(client: Client, asked: unknown, responseType: string): void {
  const mode = asked ?? (responseType.includes('token') ? 'fragment' : 'query')
  if (!profileOf(client).responseModes.some((allowed) => allowed === mode))
    throw new errors.InvalidRequest('requested response_mode is not allowed for this client or request')
}

export function isPkceRequired({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const pushed = oidc.route === 'pushed_authorization_request' || 'PushedAuthorizationRequest' in oidc.entities
  return profileOf(client).pkce === 'required' || pushed
}

/**
 * An error leaves as the profile's responses do, whatever mode the failed request asked for: never in the query where they
 * come in the fragment. Where they are signed, a client that did not ask for that could not read it: it is told plainly what
 * it did wrong, and an error tells nothing else. To be called before the library picks the way.
 */
export function keepErrorInProfile({ oidc }: KoaContextWithOIDC): void {
  const { client, params } = oidc
  if (client === undefined || params === undefined) return
  const asked = params['response_mode']
  const { responseModes } = profileOf(client)
  if (responseModes.some((mode) => mode === asked)) return
  const isPlain = asked === undefined || asked === 'query' || asked === 'fragment'
  if (!(isPlain && responseModes[0] === 'jwt')) params['response_mode'] = responseModes[0]
}
