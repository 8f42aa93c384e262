import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { SignJWT } from 'jose'
import * as openid from 'openid-client'
import type { SandboxDescription } from '../sandbox/description.ts'
import { signingKey, type ThirdParty } from './third-party.ts'

export type Question = {
  readonly scope: string
  readonly consentId?: string
  readonly loginHint: string
  readonly bindingMessage: string
  readonly notificationToken?: string
}

/** Asks a customer who is elsewhere: a signed request, as FAPI-CIBA has it, sent by openid-client. */
export async function askElsewhere(
  thirdParty: ThirdParty,
  { scope, consentId, loginHint, bindingMessage, notificationToken }: Question,
): Promise<openid.BackchannelAuthenticationResponse> {
  const { client, sandbox, configuration } = thirdParty
  const { key, kid, alg } = await signingKey(client)
  const request = await new SignJWT({
    scope,
    login_hint: loginHint,
    binding_message: bindingMessage,
    ...(consentId && { claims: { id_token: { openbanking_intent_id: { value: consentId, essential: true } } } }),
    ...(notificationToken && { client_notification_token: notificationToken }),
    jti: randomUUID(),
  })
    .setProtectedHeader({ alg, kid, typ: 'oauth-authz-req+jwt' })
    .setIssuer(client.client_id)
    .setAudience(sandbox.issuer)
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('5m')
    .sign(key)
  return await openid.initiateBackchannelAuthentication(configuration, { request })
}

export const poll = ({ configuration }: ThirdParty, asked: openid.BackchannelAuthenticationResponse) =>
  openid.pollBackchannelAuthenticationGrant(configuration, asked)

/** One try: what openid-client does between two waits. */
export const pollOnce = ({ configuration }: ThirdParty, authReqId: string) =>
  openid.genericGrantRequest(configuration, 'urn:openid:params:grant-type:ciba', { auth_req_id: authReqId })

/** What an automated test says instead of the customer. */
export async function answerFor(
  { fetch, sandbox }: ThirdParty,
  authReqId: string,
  action: 'allow' | 'deny' | string,
): Promise<{ readonly status: number; readonly outcome: unknown }> {
  const url = sandbox.automated_ciba_approval_url
    .replace('{auth_req_id}', encodeURIComponent(authReqId))
    .replace('{action}', encodeURIComponent(action))
  const answer = await fetch(url, { method: 'POST', headers: { accept: 'application/json' } })
  return { status: answer.status, outcome: ((await answer.json()) as { outcome?: unknown }).outcome }
}

export type Notification = { readonly path: string; readonly authorization: string; readonly contentType: string; readonly body: string }

/** Where a client that pings is called, as the client would run it. */
export async function openNotificationEndpoint(
  { server_cert_file, server_key_file }: SandboxDescription,
  port: number,
): Promise<{ readonly received: readonly Notification[]; close(): void }> {
  const received: Notification[] = []
  const options = { cert: readFileSync(server_cert_file), key: readFileSync(server_key_file) }
  const server = https.createServer(options, (request, response) => {
    text(request).then((body) => {
      const { authorization = '', 'content-type': contentType = '' } = request.headers
      received.push({ path: request.url ?? '', authorization, contentType, body })
      response.writeHead(204).end()
    }, response.destroy)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    received,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
