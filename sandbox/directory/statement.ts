import { randomUUID } from 'node:crypto'
import type { PrivateKeySet } from '@bankside/certs/signing-keys'
import { importJWK, SignJWT } from 'jose'
import { directoryIssuer, type Software, testAuthority } from './software.ts'

export type StatementOrder = {
  readonly software: Software
  /** Where this directory can be asked. */
  readonly origin: string
  readonly keys: PrivateKeySet
  readonly now: Date
}

/** A software statement in the format of the UK's directory, signed with PS256. */
export async function issueStatement({ software, origin, keys, now }: StatementOrder): Promise<string> {
  const key = keys.keys.find(({ alg }) => alg === 'PS256')
  if (key === undefined) throw new Error('the directory has no PS256 key')
  return new SignJWT(statementClaims(software, origin))
    .setProtectedHeader({ alg: 'PS256', typ: 'JWT', kid: key.kid ?? '' })
    .setIssuer(directoryIssuer)
    .setIssuedAt(now)
    .setJti(randomUUID())
    .sign(await importJWK(key, 'PS256'))
}

export function statementClaims(software: Software, origin: string): Record<string, unknown> {
  const { softwareId, name, roles, redirectUris } = software
  return {
    software_id: softwareId,
    software_client_id: softwareId,
    software_client_name: name,
    software_client_description: 'A third party of the sandbox',
    software_version: '1.0',
    software_environment: 'sandbox',
    software_mode: 'Test',
    software_redirect_uris: redirectUris,
    software_roles: roles,
    software_jwks_endpoint: `${origin}/software/${softwareId}/jwks`,
    software_jwks_revoked_endpoint: `${origin}/software/${softwareId}/revoked-jwks`,
    ...organisationClaims(software),
    org_contacts: [],
  }
}

/** What the register of the directory answers about the organisation behind a software: the same claims by themselves. */
export function organisationClaims({ roles, organisation, status, licensed = roles }: Software): Record<string, unknown> {
  return {
    organisation_competent_authority_claims: {
      authority_id: testAuthority.inStatements,
      registration_id: organisation.identifier.split('-').slice(2).join('-'),
      status,
      authorisations: [{ member_state: 'GB', roles: licensed }],
    },
    org_status: status,
    org_id: organisation.directoryId,
    org_name: organisation.name,
  }
}
