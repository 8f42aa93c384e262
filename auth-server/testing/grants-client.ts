import { createHash } from 'node:crypto'
import { type Answer, exchange, type Request } from './exchange.ts'
import type { ThirdParty } from './third-party.ts'

export const grantScopes = { GET: 'grant_management_query', DELETE: 'grant_management_revoke' } as const

/** The client's own token for a scope. */
export async function ownToken(client: ThirdParty, scope: string): Promise<string> {
  const { json, text } = await client.token({ grant_type: 'client_credentials', scope })
  if (typeof json['access_token'] !== 'string') throw new Error(text)
  return json['access_token']
}

export const proofFor = (client: ThirdParty, method: string, url: string, token: string): Promise<string> =>
  client.proof(url, { htm: method, ath: createHash('sha256').update(token).digest('base64url') })

/** One call of the grants API as a client makes it that does everything right, unless the test says otherwise. */
export async function callGrant(
  client: ThirdParty,
  method: 'GET' | 'DELETE',
  grantId: string,
  { token, ...options }: { readonly token?: string } & Partial<Request> = {},
): Promise<Answer> {
  const { usesCertificate, server } = client
  const url = `${usesCertificate ? server.mtlsIssuer : server.issuer}/grants/${grantId}`
  const presented = token ?? (await ownToken(client, grantScopes[method]))
  const headers: Record<string, string> =
    client.kind.constraint === 'mtls'
      ? { authorization: `Bearer ${presented}` }
      : { authorization: `DPoP ${presented}`, dpop: await proofFor(client, method, url, presented) }
  return exchange(url, { method, ca: server.ca, ...(usesCertificate && { credential: client.credential }), headers, ...options })
}
