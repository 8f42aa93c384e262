/** `npm run third-party -- …`: what a new third party does at a directory before it comes to the bank. */
import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { systemClock } from '@bankside/service-kit/clock'
import { directoryFiles } from './directory/files.ts'
import { isOrganisationStatus, isSoftwareRole, type SoftwareRole } from './directory/software.ts'
import { redirectUriOf } from './fill-sandbox.ts'
import { explain, Problem } from './problem.ts'
import { placesIn, readSettings, type Settings } from './settings.ts'
import { newThirdParty, readThirdParty, slugOf, writeStatement } from './third-party/new-third-party.ts'
import { registerThirdParty } from './third-party/register-third-party.ts'

const usage = `npm run third-party -- new "My Fintech" [--roles AISP,PISP] [--redirect-uri https://…]
                                    enrols it: certificate, keys, software statement
npm run third-party -- register my-fintech     registers it with the running bank
npm run third-party -- statement my-fintech    prints a new statement (each is good for half an hour)
npm run third-party -- revoke my-fintech       takes its certificate back
npm run third-party -- status my-fintech Withdrawn [--roles AISP]
                                    what the register says of its organisation: Active, Revoked or Withdrawn, and licensed for what
npm run third-party -- list`

try {
  console.log(await run(process.argv.slice(2)))
} catch (error) {
  console.error(explain(error))
  process.exitCode = 1
}

async function run(args: string[]): Promise<string> {
  const { command, name, more, roles, isLicensedFor, redirectUris } = readArguments(args)
  const settings = readSettings()
  const now = systemClock.now()
  switch (command) {
    case 'new': {
      const wanted = { name, roles, redirectUris: redirectUris.length > 0 ? redirectUris : [redirectUriOf(settings)] }
      const made = await newThirdParty(settings, wanted, now)
      console.error(`Next: npm run third-party -- register ${slugOf(name)}`)
      return JSON.stringify(made, undefined, 2)
    }
    case 'register': {
      const client = await registerThirdParty(settings, slugOf(name), readThirdParty(settings, slugOf(name)), now)
      return JSON.stringify(client, undefined, 2)
    }
    case 'statement':
      return writeStatement(settings, readThirdParty(settings, slugOf(name)), now)
    case 'revoke':
      return revoke(settings, slugOf(name), now)
    case 'status':
      return changeStatus(settings, slugOf(name), { status: more, roles: isLicensedFor })
    case 'list':
      return list(settings).join('\n') || 'There is none yet.'
    default:
      throw new Problem(usage)
  }
}

function readArguments(args: string[]) {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: { roles: { type: 'string' }, 'redirect-uri': { type: 'string', multiple: true, default: [] } },
    })
    const [command, name = '', more = ''] = positionals
    const isLicensedFor = values.roles === undefined ? undefined : rolesIn(values.roles)
    const roles = isLicensedFor ?? rolesIn('AISP,PISP')
    return { command, name, more, roles, isLicensedFor, redirectUris: values['redirect-uri'] }
  } catch (error) {
    throw error instanceof TypeError ? new Problem(usage) : error
  }
}

function rolesIn(text: string): SoftwareRole[] {
  const roles = text.split(',').map((role) => role.trim().toUpperCase())
  if (!roles.every(isSoftwareRole)) throw new Problem('Roles are AISP, PISP and CBPII.')
  return roles.filter(isSoftwareRole)
}

function revoke(settings: Settings, slug: string, now: Date): string {
  const { serialNumber } = new X509Certificate(readFileSync(readThirdParty(settings, slug).cert_file))
  directoryFiles(placesIn(settings.home).directory).revoke({ serialNumber, revokedAt: now.toISOString() })
  return 'Revoked. The bank notices within a minute, its resource API within two.'
}

type StatusChange = { readonly status: string; readonly roles: readonly SoftwareRole[] | undefined }

function changeStatus(settings: Settings, slug: string, { status, roles }: StatusChange): string {
  const files = directoryFiles(placesIn(settings.home).directory)
  const software = files.software(readThirdParty(settings, slug).software_id)
  if (software === undefined || !isOrganisationStatus(status)) throw new Problem(usage)
  files.change({ ...software, status, ...(roles !== undefined && { licensed: roles }) })
  return 'Changed. The bank asks once a day, and at once with: npm run client -- check'
}

function list({ home }: Settings): string[] {
  const { thirdParties } = placesIn(home)
  return existsSync(thirdParties) ? readdirSync(thirdParties) : []
}
