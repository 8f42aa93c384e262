import { decodeJwt } from 'jose'
import type { Client, Provider } from 'oidc-provider'

/** OpenID Connect RP-Initiated Logout section 2. What else is sent is not looked at; `logout_hint` and `ui_locales` change nothing here. */
export type LogoutRequest = {
  readonly client: Client | undefined
  /** Registered by the client, to the letter: it may be gone to. */
  readonly redirectUri: string | undefined
  readonly state: string | undefined
  /** Whose session the client says it is about, by an ID token of ours, which may have expired (LOGOUT-03). */
  readonly hint: { readonly subject: string; readonly sid: string | undefined } | undefined
}

const parameters = ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state', 'logout_hint', 'ui_locales'] as const
type Parameter = (typeof parameters)[number]

const lengthAtMost: Readonly<Record<Parameter, number>> = {
  id_token_hint: 8_192,
  client_id: 64,
  post_logout_redirect_uri: 2_048,
  state: 2_048,
  logout_hint: 256,
  ui_locales: 256,
}

/**
 * Undefined for what must not be acted on: a parameter twice or too long, a client that is not there, two clients, or an
 * address that its client did not register. Nobody is sent anywhere then (FAPI2-AS-07). A hint that is not ours is none.
 */
export async function readLogoutRequest(sent: URLSearchParams, provider: Provider): Promise<LogoutRequest | undefined> {
  if (parameters.some((name) => sent.getAll(name).length > 1 || (sent.get(name)?.length ?? 0) > lengthAtMost[name])) return undefined
  const of = (name: Parameter) => sent.get(name) || undefined
  const hintedClientId = audienceOf(of('id_token_hint'))
  const named = of('client_id')
  if (named !== undefined && hintedClientId !== undefined && named !== hintedClientId) return undefined
  const clientId = named ?? hintedClientId
  const client = clientId === undefined ? undefined : await provider.Client.find(clientId)
  if (named !== undefined && client === undefined) return undefined
  const hint = client && (await hintOf(of('id_token_hint'), client, provider))
  const redirectUri = of('post_logout_redirect_uri')
  // A client that only a hint names counts when the hint does.
  const known = named !== undefined || hint !== undefined ? client : undefined
  if (redirectUri !== undefined && !(known && mayRedirectTo(known, redirectUri))) return undefined
  return { client: known, redirectUri, state: of('state'), hint }
}

const mayRedirectTo = (client: Client, uri: string): boolean => {
  const registered = client['post_logout_redirect_uris']
  return Array.isArray(registered) && registered.includes(uri)
}

/** Not verified: says only whose keys and audience it is to be verified with. */
function audienceOf(token: string | undefined): string | undefined {
  try {
    const { aud } = decodeJwt(token ?? '')
    return typeof aud === 'string' ? aud : undefined
  } catch {
    return undefined
  }
}

async function hintOf(token: string | undefined, client: Client, { IdToken }: Provider): Promise<LogoutRequest['hint']> {
  if (token === undefined) return undefined
  try {
    const { payload } = await IdToken.validate(token, client)
    return { subject: String(payload['sub']), sid: typeof payload['sid'] === 'string' ? payload['sid'] : undefined }
  } catch {
    // Whatever is wrong with it: a request without a hint is asked about on a page.
    return undefined
  }
}

/** Where the client gets the customer back, with what it wants to know them by. */
export function logoutResponseUri({ redirectUri, state }: Pick<LogoutRequest, 'redirectUri' | 'state'>): string | undefined {
  if (redirectUri === undefined || state === undefined) return redirectUri
  const url = new URL(redirectUri)
  url.searchParams.append('state', state)
  return url.href
}
