import type { Confirmation, Target } from '../targets/target.ts'
import type { Credentials } from './connection.ts'
import { dpopProof } from './signing.ts'

/** How a third party shows that an access token is its own. */
export type TokenBinding = {
  readonly credentials: (target: Target) => Credentials
  /** Who holds the tokens, and what they are bound to. */
  readonly holder: (target: Target) => readonly [clientId: string, confirmation: Confirmation]
  readonly headers: (target: Target, method: string, path: string, accessToken: string) => Record<string, string>
}

export const boundByDpop: TokenBinding = {
  credentials: ({ ca }) => ({ ca }),
  holder: ({ client }) => [client.clientId, { jkt: client.proofKey.thumbprint }],
  headers: ({ client, resourceApi }, method, path, accessToken) => ({
    authorization: `DPoP ${accessToken}`,
    dpop: dpopProof(client.proofKey, method, `${resourceApi}${path}`, accessToken),
  }),
}

export const boundByCertificate: TokenBinding = {
  credentials: ({ ca, certificateClient: { key, cert } }) => ({ ca, key, cert }),
  holder: ({ certificateClient }) => [certificateClient.clientId, { 'x5t#S256': certificateClient.thumbprint }],
  headers: (_target, _method, _path, accessToken) => ({ authorization: `Bearer ${accessToken}` }),
}
