import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueTransportCertificate, subjectDistinguishedName } from '@bankside/certs/sandbox-credentials'
import { createSigningKeys, publicKeys } from '@bankside/certs/signing-keys'
import { directoryFiles } from '../directory/files.ts'
import { bankOrganisationId, pspRoleOf, type Software, type SoftwareRole } from '../directory/software.ts'
import { issueStatement } from '../directory/statement.ts'
import { writePrivateFile } from '../private-file.ts'
import { Problem } from '../problem.ts'
import { originsOf, placesIn, type Settings } from '../settings.ts'

/** `third-party.json`: all that somebody needs to register a third party of the sandbox by hand. Paths are absolute. */
export type ThirdPartyFile = {
  readonly name: string
  readonly software_id: string
  readonly organisation_id: string
  readonly organisation_identifier: string
  readonly roles: readonly SoftwareRole[]
  readonly redirect_uris: readonly string[]
  /** What is registered as `tls_client_auth_subject_dn`. */
  readonly subject_dn: string
  /** JWKS with private keys: one PS256, one ES256. The directory publishes their public part at `jwks_uri`. */
  readonly jwks_file: string
  readonly cert_file: string
  readonly key_file: string
  readonly jwks_uri: string
  /** A statement is good for half an hour; here is another one. */
  readonly statement_uri: string
  readonly statement_file: string
  readonly registration_endpoint: string
  readonly audience: string
}

export type NewThirdParty = { readonly name: string; readonly roles: readonly SoftwareRole[]; readonly redirectUris: readonly string[] }

const nameAtMostLength = 40
const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base62 = (length: number) => Array.from(randomBytes(length), (byte) => letters[byte % letters.length]).join('')

/** What a third party is called in commands and folders. */
export const slugOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')

export const folderOf = ({ home }: Settings, slug: string): string => join(placesIn(home).thirdParties, slug)

/** Enrols a third party with the sandbox's directory and certificate authority. Its private keys stay in its folder. */
export async function newThirdParty(settings: Settings, { name, roles, redirectUris }: NewThirdParty, now: Date): Promise<ThirdPartyFile> {
  const slug = slugOf(name)
  if (slug === '' || name.length > nameAtMostLength)
    throw new Problem(`A name has 1 to ${nameAtMostLength} characters, letters among them.`)
  const folder = folderOf(settings, slug)
  if (existsSync(folder)) throw new Problem(`There is a third party ${slug} already, in ${folder}.`)
  const organisation = {
    name: `${name} Ltd`,
    identifier: `PSDGB-TEST-${randomBytes(4).readUInt32BE(0)}`,
    directoryId: `00158${base62(13)}`,
    roles: roles.map((role) => pspRoleOf[role]),
  }
  const software: Software = { softwareId: base62(22), name, roles, redirectUris, organisation, status: 'Active' }
  const [keys, credential] = await Promise.all([
    createSigningKeys(['PS256', 'ES256']),
    issueTransportCertificate(authorityOf(settings), {
      organisation,
      keyKind: 'rsa',
      now,
      ocspResponder: `${originsOf(settings.ports).directory}/ocsp`,
    }),
  ])
  directoryFiles(placesIn(settings.home).directory).save(software, publicKeys(keys))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const described = describe(settings, software, folder)
  writeFileSync(described.key_file, credential.key, { mode: 0o600 })
  writeFileSync(described.cert_file, credential.cert, { mode: 0o600 })
  writePrivateFile(described.jwks_file, keys)
  await writeStatement(settings, described, now)
  writePrivateFile(join(folder, 'third-party.json'), described)
  return described
}

/** @throws {Problem} */
export function readThirdParty(settings: Settings, slug: string): ThirdPartyFile {
  const path = join(folderOf(settings, slug), 'third-party.json')
  if (!existsSync(path)) throw new Problem(`There is no third party ${slug}. Make one with: npm run third-party -- new "My Fintech"`)
  return JSON.parse(readFileSync(path, 'utf8')) as ThirdPartyFile
}

/** A new statement about a software, in its folder. */
export async function writeStatement(settings: Settings, thirdParty: ThirdPartyFile, now: Date): Promise<string> {
  const files = directoryFiles(placesIn(settings.home).directory)
  const software = files.software(thirdParty.software_id)
  if (software === undefined) throw new Problem(`The directory does not know ${thirdParty.name} any more.`)
  const origin = originsOf(settings.ports).directory
  const statement = await issueStatement({ software, origin, keys: await files.keys(), now })
  writeFileSync(thirdParty.statement_file, `${statement}\n`, { mode: 0o600 })
  return statement
}

function authorityOf({ home }: Settings): { cert: string; key: string } {
  const { certificates } = placesIn(home)
  const [cert, key] = [join(certificates, 'ca.pem'), join(certificates, 'ca-key.pem')]
  if (!existsSync(cert) || !existsSync(key)) throw new Problem(`There is no sandbox in ${home} yet. Start one with: npm start`)
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

function describe({ ports }: Settings, { softwareId, name, roles, redirectUris, organisation }: Software, folder: string): ThirdPartyFile {
  const { directory, mtlsIssuer } = originsOf(ports)
  return {
    name,
    software_id: softwareId,
    organisation_id: organisation.directoryId,
    organisation_identifier: organisation.identifier,
    roles,
    redirect_uris: redirectUris,
    subject_dn: subjectDistinguishedName(organisation),
    jwks_file: join(folder, 'jwks.json'),
    cert_file: join(folder, 'transport.pem'),
    key_file: join(folder, 'transport-key.pem'),
    jwks_uri: `${directory}/software/${softwareId}/jwks`,
    statement_uri: `${directory}/software/${softwareId}/statement`,
    statement_file: join(folder, 'statement.jwt'),
    registration_endpoint: `${mtlsIssuer}/register`,
    audience: bankOrganisationId,
  }
}
