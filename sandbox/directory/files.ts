import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSigningKeys, type PrivateKeySet } from '@bankside/certs/signing-keys'
import { writePrivateFile } from '../private-file.ts'
import type { Software } from './software.ts'

/** What the directory knows is in files of the sandbox's folder: commands write them, and the process that answers reads them each time. */
export type DirectoryFiles = {
  keys(): Promise<PrivateKeySet>
  software(softwareId: string): Software | undefined
  all(): readonly Software[]
  save(software: Software, publicKeys: PrivateKeySet): void
  change(software: Software): void
  publicKeys(softwareId: string): PrivateKeySet | undefined
  revoked(): readonly RevokedCertificate[]
  revoke(certificate: RevokedCertificate): void
}
export type RevokedCertificate = { readonly serialNumber: string; readonly revokedAt: string }

const softwareIdShape = /^[0-9a-zA-Z]{1,22}$/

export function directoryFiles(folder: string): DirectoryFiles {
  const path = (...names: string[]) => join(folder, ...names)
  const read = <Content>(file: string): Content | undefined =>
    existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Content) : undefined
  const of = (softwareId: string, file: string) => (softwareIdShape.test(softwareId) ? path('software', softwareId, file) : undefined)
  const readOf = <Content>(softwareId: string, file: string): Content | undefined => {
    const found = of(softwareId, file)
    return found === undefined ? undefined : read<Content>(found)
  }
  const software = (softwareId: string) => readOf<Software>(softwareId, 'software.json')
  const revoked = () => read<RevokedCertificate[]>(path('revoked.json')) ?? []
  return {
    software,
    revoked,
    publicKeys: (softwareId) => readOf<PrivateKeySet>(softwareId, 'jwks.json'),
    all: () => (existsSync(path('software')) ? readdirSync(path('software')).flatMap((softwareId) => software(softwareId) ?? []) : []),
    async keys() {
      const known = read<PrivateKeySet>(path('keys.json'))
      if (known !== undefined) return known
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const made = await createSigningKeys(['PS256'])
      writePrivateFile(path('keys.json'), made)
      return made
    },
    save(entry, publicKeys) {
      mkdirSync(path('software', entry.softwareId), { recursive: true, mode: 0o700 })
      writePrivateFile(path('software', entry.softwareId, 'jwks.json'), publicKeys)
      writePrivateFile(path('software', entry.softwareId, 'software.json'), entry)
    },
    change(entry) {
      writePrivateFile(path('software', entry.softwareId, 'software.json'), entry)
    },
    revoke(certificate) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writePrivateFile(path('revoked.json'), [...revoked(), certificate])
    },
  }
}
