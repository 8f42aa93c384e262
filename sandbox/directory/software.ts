import type { PspRole } from '@bankside/certs/qualified-statements'
import type { Organisation } from '@bankside/certs/sandbox-credentials'

/** A software of a third party, as the sandbox's directory has it on file. */
export type Software = {
  readonly softwareId: string
  readonly name: string
  readonly roles: readonly SoftwareRole[]
  readonly redirectUris: readonly string[]
  readonly organisation: Organisation
  readonly status: OrganisationStatus
  /** What the register has its organisation licensed for, where that is not what the software is for. */
  readonly licensed?: readonly SoftwareRole[]
}

const organisationStatuses = ['Active', 'Revoked', 'Withdrawn'] as const
export type OrganisationStatus = (typeof organisationStatuses)[number]
export const isOrganisationStatus = (text: string): text is OrganisationStatus => organisationStatuses.some((status) => status === text)

export type SoftwareRole = keyof typeof pspRoleOf

export const pspRoleOf = { AISP: 'PSP_AI', PISP: 'PSP_PI', CBPII: 'PSP_IC' } as const satisfies Record<string, PspRole>
export const isSoftwareRole = (text: string): text is SoftwareRole => Object.hasOwn(pspRoleOf, text)

/** What statements of the sandbox are issued by, and what its competent authority is called: no real one is. */
export const directoryIssuer = 'Bankside sandbox directory'
export const testAuthority = { inStatements: 'TESTGBR', inCertificates: 'GB-TEST' } as const
/** What the directory calls the bank. */
export const bankOrganisationId = 'BanksideSandbox'
