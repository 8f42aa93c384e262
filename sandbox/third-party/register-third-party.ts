import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { PrivateKeySet } from '@bankside/certs/signing-keys'
import { importJWK, SignJWT } from 'jose'
import { writePrivateFile } from '../private-file.ts'
import { Problem } from '../problem.ts'
import type { SandboxClient } from '../sandbox-file.ts'
import { placesIn, type Settings } from '../settings.ts'
import { folderOf, type ThirdPartyFile, writeStatement } from './new-third-party.ts'

const scopesOf = { AISP: 'accounts', PISP: 'payments', CBPII: 'fundsconfirmations' } as const
const requestLastsSeconds = 300

/**
 * Registers a third party with the running sandbox, as it would do itself: one signed request over its certificate.
 *
 * @returns the client in the shape that `sandbox.json` has, which is also kept as `client.json` in its folder.
 */
export async function registerThirdParty(settings: Settings, slug: string, thirdParty: ThirdPartyFile, now: Date): Promise<SandboxClient> {
  const answer = await post(settings, thirdParty, await signedRequest(settings, thirdParty, now))
  const registered = JSON.parse(answer.body) as Record<string, unknown>
  if (answer.status !== 201)
    throw new Problem(`The bank did not register it: ${answer.status} ${registered['error']}: ${registered['error_description']}`)
  const client: SandboxClient = {
    client_id: String(registered['client_id']),
    profile: registered['fapi_profile'] as SandboxClient['profile'],
    token_endpoint_auth_method: 'private_key_jwt',
    sender_constraint: 'mtls',
    redirect_uris: thirdParty.redirect_uris,
    jwks_file: thirdParty.jwks_file,
    cert_file: thirdParty.cert_file,
    key_file: thirdParty.key_file,
    scopes: String(registered['scope']).split(' '),
    first_party: false,
  }
  writePrivateFile(join(folderOf(settings, slug), 'client.json'), client)
  return client
}

async function signedRequest(settings: Settings, thirdParty: ThirdPartyFile, now: Date): Promise<string> {
  const { keys } = JSON.parse(readFileSync(thirdParty.jwks_file, 'utf8')) as PrivateKeySet
  const key = keys.find(({ alg }) => alg === 'PS256')
  if (key === undefined) throw new Problem(`${thirdParty.jwks_file} holds no PS256 key.`)
  const iat = Math.floor(now.getTime() / 1000)
  return new SignJWT({
    iss: thirdParty.software_id,
    aud: thirdParty.audience,
    jti: randomUUID(),
    iat,
    exp: iat + requestLastsSeconds,
    software_statement: await writeStatement(settings, thirdParty, now),
    redirect_uris: thirdParty.redirect_uris,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'PS256',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    application_type: 'web',
    id_token_signed_response_alg: 'PS256',
    request_object_signing_alg: 'PS256',
    scope: ['openid', ...thirdParty.roles.map((role) => scopesOf[role])].join(' '),
  })
    .setProtectedHeader({ alg: 'PS256', typ: 'JWT', kid: key.kid ?? '' })
    .sign(await importJWK(key, 'PS256'))
}

function post({ home }: Settings, thirdParty: ThirdPartyFile, jwt: string): Promise<{ status: number; body: string }> {
  return new Promise((answered, failed) => {
    const request = https.request(
      thirdParty.registration_endpoint,
      {
        method: 'POST',
        agent: false,
        ca: readFileSync(join(placesIn(home).certificates, 'ca.pem')),
        cert: readFileSync(thirdParty.cert_file),
        key: readFileSync(thirdParty.key_file),
        headers: { 'content-type': 'application/jwt', 'content-length': Buffer.byteLength(jwt) },
      },
      (response) => text(response).then((body) => answered({ status: response.statusCode ?? 0, body }), failed),
    )
    request.once('error', (error: NodeJS.ErrnoException) =>
      failed(error.code === 'ECONNREFUSED' ? new Problem('No sandbox is running here. Start one with: npm start') : error),
    )
    request.end(jwt)
  })
}
