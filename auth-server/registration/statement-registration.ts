import { randomUUID } from 'node:crypto'
import { changeThirdParty } from '@bankside/bank/clients/change-third-party'
import { endThirdParty } from '@bankside/bank/clients/end-third-party'
import { registerThirdParty } from '@bankside/bank/clients/register-third-party'
import { findRegistration, type Registration } from '@bankside/bank/clients/registration'
import { isOfOrganisation, type Organisation } from '@bankside/bank/licences/organisation'
import { findRegisterEntry } from '@bankside/bank/licences/register-entry'
import { type Database, outsideTransaction, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import type { Context } from '../http/request-context.ts'
import { identifierUseOf, type UseIdentifierOf } from '../storage/use-identifier.ts'
import { admitClient, type Candidate } from './admit-client.ts'
import { assertInRegister } from './belongs-together.ts'
import { evidenceOf, type PresentedCertificate, requireCertificate } from './presented-certificate.ts'
import { takeBack, verifyClientToken } from './presented-token.ts'
import { readRegistrationBody } from './read-registration-body.ts'
import type { RegistrationDoor } from './registration.ts'
import { registrationAnswer } from './registration-answer.ts'
import { refuseRegistration } from './registration-refusal.ts'
import { type SignedRequest, verifySignedRequest } from './signed-request.ts'
import { candidateOfRequest } from './statement-door.ts'

/** UK dynamic client registration v3.3, over mutual TLS. */
export function statementRegistration(provider: Provider, dependencies: AuthServerDependencies): RegistrationDoor {
  const { config, database, clock, published } = dependencies
  const useIdentifier = identifierUseOf(dependencies.prepared)
  const admission = { provider, keySets: published.keySets }

  const requested = async (ctx: Context, presented: PresentedCertificate): Promise<Requested> => {
    const request = await verified(await readRegistrationBody(ctx), dependencies, useIdentifier)
    const candidate = candidateOfRequest(request, presented)
    await assertStillLicensed(request, candidate, database)
    await admitClient(candidate, admission)
    return { request, candidate, kept: keptOf(request, config.ORGANISATION_ID) }
  }
  /** The registration that the token's holder may manage; whoever asks for another loses the token (UKDCR-15). */
  const managed = async (ctx: Context, clientId: string): Promise<{ presented: PresentedCertificate; registration: Registration }> => {
    const presented = requireCertificate(ctx, dependencies, { forNew: false })
    const token = await verifyClientToken(ctx, presented.thumbprint, { ...dependencies, useIdentifier })
    const registration =
      token.clientId === clientId ? await outsideTransaction(database, (tx) => findRegistration(tx, clientId)) : undefined
    if (registration?.software === undefined) {
      await takeBack(token, database)
      return refuseRegistration('invalid_token', 'the token is not one for this client')
    }
    assertSameHolder(presented, registration)
    return { presented, registration }
  }
  const show = async (ctx: Context, clientId: string, status: number) => {
    const registration = await outsideTransaction(database, (tx) => findRegistration(tx, clientId))
    if (registration === undefined) return refuseRegistration('invalid_token', 'the client is gone')
    ctx.status = status
    ctx.body = registrationAnswer(registration)
  }

  return {
    async create(ctx) {
      const presented = requireCertificate(ctx, dependencies, { forNew: true })
      const { request, candidate, kept } = await requested(ctx, presented)
      await useStatement(request, useIdentifier)
      const clientId = randomUUID()
      const { directory, claims } = request.statement
      const software = { issuer: directory.issuer, id: claims.software_id }
      const entry = {
        ...candidate,
        ...{ clientId, software, request: kept, accessTokenHash: undefined, scopes: (candidate.metadata.scope ?? '').split(' ') },
        ...{ evidence: evidenceOf(presented), interactionId: ctx.state.requestId, now: clock.now() },
      }
      await transact(database, (tx) => registerThirdParty(tx, entry)).catch(refuseSecond)
      await show(ctx, clientId, 201)
    },
    async read(ctx, clientId) {
      const { registration } = await managed(ctx, clientId)
      ctx.body = registrationAnswer(registration)
    },
    async replace(ctx, clientId) {
      const { presented, registration } = await managed(ctx, clientId)
      const { request, candidate, kept } = await requested(ctx, presented)
      assertSameClient(request, candidate, registration)
      const { name, metadata } = candidate
      const change = { clientId, name, metadata, request: kept, evidence: evidenceOf(presented), interactionId: ctx.state.requestId }
      const changed = await transact(database, (tx) => changeThirdParty(tx, { ...change, now: clock.now() }))
      if (!changed) refuseRegistration('invalid_token', 'the client is gone')
      await show(ctx, clientId, 200)
    },
    async remove(ctx, clientId) {
      await managed(ctx, clientId)
      const end = { clientId, interactionId: ctx.state.requestId, now: clock.now() }
      if (!(await transact(database, (tx) => endThirdParty(tx, end)))) refuseRegistration('invalid_token', 'the client is gone')
      ctx.status = 204
    },
  }
}

type Requested = { readonly request: SignedRequest; readonly candidate: Candidate; readonly kept: Readonly<Record<string, unknown>> }

function verified(jws: string, { config, clock, published }: AuthServerDependencies, useOnce: UseIdentifierOf): Promise<SignedRequest> {
  const { DIRECTORIES: directories, ORGANISATION_ID: organisationId, ISSUER: issuer } = config
  return verifySignedRequest(jws.trim(), {
    directories,
    keySets: published.keySets,
    audiences: organisationId === undefined ? [issuer] : [organisationId, issuer],
    useOnce,
    now: clock.now(),
  })
}

async function assertStillLicensed({ statement }: SignedRequest, { metadata }: Candidate, database: Database): Promise<void> {
  const organisation = { directory: statement.directory.issuer, organisationId: statement.claims.org_id }
  const entry = await outsideTransaction(database, (tx) => findRegisterEntry(tx, organisation))
  assertInRegister((metadata.scope ?? '').split(' '), entry)
}

/** What answers repeat. The audience by the name that the format of the answer knows. */
const keptOf = ({ claims }: SignedRequest, organisationId: string | undefined) => ({ ...claims, aud: organisationId ?? claims.aud })

/** SSA-02, where the directory's statements are for one registration each. */
async function useStatement({ statement: { directory, claims } }: SignedRequest, useOnce: UseIdentifierOf): Promise<void> {
  if (!directory.single_use_statements) return
  const until = claims.iat + directory.statement_max_age_seconds
  if (!(await useOnce(`statement ${directory.issuer}`, claims.jti, until)))
    refuseRegistration('invalid_software_statement', 'software_statement: it was used before')
}

/** SSA-05, however many come at once. */
function refuseSecond(error: unknown): never {
  if (violatedConstraint(error) === 'registration_one_client_per_software')
    refuseRegistration('invalid_client_metadata', 'this software is registered already: change it with PUT, or DELETE it first')
  throw error
}

function assertSameHolder({ transport }: PresentedCertificate, { client }: Registration): void {
  if (!isOfOrganisation(transport, client.metadata['organisation'] as Organisation))
    refuseRegistration('invalid_token', 'the certificate is of another organisation than the client')
}

/** A client stays what it is: of this software, and in its profile, under whose rules its tokens were made. */
function assertSameClient({ all, statement }: SignedRequest, { profile }: Candidate, { client, software }: Registration): void {
  if (all['client_id'] !== undefined && all['client_id'] !== client.clientId)
    refuseRegistration('invalid_client_metadata', 'client_id is that of another client')
  if (statement.claims.software_id !== software?.id || statement.directory.issuer !== software.issuer)
    refuseRegistration('invalid_software_statement', 'the statement is of another software')
  if (profile !== client.profile)
    refuseRegistration('invalid_client_metadata', `the profile of a client does not change: this one is ${client.profile}`)
}
