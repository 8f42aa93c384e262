import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { changeThirdParty } from '@bankside/bank/clients/change-third-party'
import { endThirdParty } from '@bankside/bank/clients/end-third-party'
import { findInitialAccessToken, useInitialAccessToken } from '@bankside/bank/clients/initial-access-token'
import { registerThirdParty } from '@bankside/bank/clients/register-third-party'
import { findRegistration, type Registration } from '@bankside/bank/clients/registration'
import { outsideTransaction, transact } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { routes } from '../discovery.ts'
import type { Context } from '../http/request-context.ts'
import { handleHash } from '../storage/handle-hash.ts'
import { admitClient, type Candidate } from './admit-client.ts'
import { chooseProfile, withDefaults } from './choose-profile.ts'
import { isTestEnvironment } from './directory.ts'
import { presentedToken } from './presented-token.ts'
import { readRegistrationBody } from './read-registration-body.ts'
import { readMetadata } from './registered-metadata.ts'
import type { RegistrationDoor } from './registration.ts'
import { registrationAnswer } from './registration-answer.ts'
import { refuseRegistration } from './registration-refusal.ts'

type Json = Readonly<Record<string, unknown>>

/** RFC 7591 and RFC 7592, for whom the bank has given a token. */
export function tokenRegistration(provider: Provider, dependencies: AuthServerDependencies): RegistrationDoor {
  const { config, database, clock, published } = dependencies
  const mayBeLocal = isTestEnvironment(config.DIRECTORIES)
  const admission = { provider, keySets: published.keySets }

  const managed = async (ctx: Context, clientId: string): Promise<Registration> => {
    const hash = tokenHash(ctx)
    const registration = await outsideTransaction(database, (tx) => findRegistration(tx, clientId))
    const isItsToken = registration?.accessTokenHash !== undefined && timingSafeEqual(registration.accessTokenHash, hash)
    return isItsToken ? registration : refuseRegistration('invalid_token', 'the token is not one for this client')
  }
  const answer = (ctx: Context, registration: Registration, status: number, accessToken: string) => {
    ctx.status = status
    ctx.body = {
      ...registrationAnswer(registration),
      registration_access_token: accessToken,
      registration_client_uri: `${config.MTLS_ISSUER}${routes.registration}/${registration.client.clientId}`,
    }
  }

  return {
    async create(ctx) {
      const hash = tokenHash(ctx)
      const allowed = await outsideTransaction(database, (tx) => findInitialAccessToken(tx, hash, clock.now()))
      if (allowed === undefined) return refuseInitial()
      const candidate = candidateOf(await readJson(ctx), mayBeLocal)
      assertAllowed(candidate, allowed)
      await admitClient(candidate, admission)
      const [clientId, accessToken] = [randomUUID(), randomBytes(32).toString('base64url')]
      const registration = await transact(database, async (tx) => {
        if (!(await useInitialAccessToken(tx, hash, clock.now()))) return refuseInitial()
        await registerThirdParty(tx, {
          ...candidate,
          ...{ clientId, software: undefined, request: {}, accessTokenHash: handleHash(accessToken), scopes: allowed },
          ...{ evidence: {}, interactionId: ctx.state.requestId, now: clock.now() },
        })
        return findRegistration(tx, clientId)
      })
      if (registration === undefined) throw new Error('a client that was just registered is not there')
      answer(ctx, registration, 201, accessToken)
    },
    async read(ctx, clientId) {
      answer(ctx, await managed(ctx, clientId), 200, presentedToken(ctx).token)
    },
    async replace(ctx, clientId) {
      const { client, scopes } = await managed(ctx, clientId)
      const json = await readJson(ctx)
      assertReplaces(json, clientId)
      const candidate = candidateOf(json, mayBeLocal)
      if (candidate.profile !== client.profile)
        refuseRegistration('invalid_client_metadata', `the profile of a client does not change: this one is ${client.profile}`)
      assertAllowed(candidate, scopes)
      await admitClient(candidate, admission)
      const { name, metadata } = candidate
      const change = { clientId, name, metadata, request: {}, evidence: {}, interactionId: ctx.state.requestId, now: clock.now() }
      if (!(await transact(database, (tx) => changeThirdParty(tx, change)))) refuseRegistration('invalid_token', 'the client is gone')
      answer(ctx, await managed(ctx, clientId), 200, presentedToken(ctx).token)
    },
    async remove(ctx, clientId) {
      await managed(ctx, clientId)
      const end = { clientId, interactionId: ctx.state.requestId, now: clock.now() }
      if (!(await transact(database, (tx) => endThirdParty(tx, end)))) refuseRegistration('invalid_token', 'the client is gone')
      ctx.status = 204
    },
  }
}

function refuseInitial(): never {
  refuseRegistration('invalid_token', 'the token is not one to register with, or was used up')
}

const tokenHash = (ctx: Context): Buffer => handleHash(presentedToken(ctx).token)

async function readJson(ctx: Context): Promise<Json> {
  try {
    const json: unknown = JSON.parse(await readRegistrationBody(ctx))
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json
  } catch (cause) {
    if (cause instanceof SyntaxError) refuseRegistration('invalid_client_metadata', 'the body is not JSON', { cause })
    throw cause
  }
  return refuseRegistration('invalid_client_metadata', 'the body is no JSON object')
}

function candidateOf(json: Json, mayBeLocal: boolean): Candidate {
  if ('software_statement' in json)
    refuseRegistration('invalid_software_statement', 'a software statement comes in a signed request, as application/jwt')
  const asked = readMetadata(json)
  const profile = chooseProfile(asked, json['fapi_profile'])
  const isCode = profile !== 'fapi_ciba'
  const metadata = withDefaults(
    { ...(isCode && { response_types: ['code'], grant_types: ['authorization_code'] }), id_token_signed_response_alg: 'PS256', ...asked },
    profile,
    { bound: 'dpop' },
  )
  return { profile, name: asked.client_name ?? '', metadata, mayBeLocal }
}

/** What the bank's token was given for bounds what can ever be registered with it. */
function assertAllowed({ metadata }: Candidate, allowed: readonly string[]): void {
  const beyond = (metadata.scope ?? '').split(' ').filter((scope) => !allowed.includes(scope))
  if (beyond.length > 0) refuseRegistration('invalid_client_metadata', `scope may hold ${allowed.join(' ')}`)
}

/** RFC 7592 section 2.2: the client that is replaced is named, and what only the server says is not said. */
const saidByServer = ['registration_access_token', 'registration_client_uri', 'client_secret_expires_at', 'client_id_issued_at']

function assertReplaces(json: Json, clientId: string): void {
  if (json['client_id'] !== clientId) refuseRegistration('invalid_client_metadata', 'client_id must be that of the client')
  const said = saidByServer.filter((name) => name in json)
  if (said.length > 0) refuseRegistration('invalid_client_metadata', `${said.join(', ')} must not be sent`)
}
