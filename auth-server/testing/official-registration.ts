import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { currentEnvironment } from '@bankside/service-kit/config'
import { Ajv } from 'ajv'
import addFormatsModule from 'ajv-formats'

const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default
const folder = currentEnvironment()['BANKSIDE_SPECS'] ?? join(import.meta.dirname, '../../../shared/specs')
const file = join(folder, 'client-registration-v3.3', 'client-registration-openapi.json')

/** Reason for skipping, when the official definition is not at hand. It is never part of this repository. */
export const registrationDefinitionMissing = existsSync(file)
  ? undefined
  : 'BANKSIDE_SPECS names no folder with the official definitions: answers are not validated against them'

/** Asserts that a body is what the official definition of UK dynamic client registration v3.3 calls by this name. */
export function assertOfficialRegistration(name: 'OBClientRegistration1' | 'RegistrationError', body: unknown): void {
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { int32: true, JWT: true } })
  addFormats(ajv)
  const { components } = JSON.parse(readFileSync(file, 'utf8')) as { components: object }
  ajv.addSchema({ $id: 'https://definitions.test/registration', components })
  const validate = ajv.compile({ $ref: `https://definitions.test/registration#/components/schemas/${name}` })
  assert.ok(validate(body), `${JSON.stringify(validate.errors)} in ${JSON.stringify(body)}`)
}
