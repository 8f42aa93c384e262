import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { currentEnvironment } from '@bankside/service-kit/config'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormatsModule from 'ajv-formats'
import type { Answer } from './test-client.ts'

const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default
const folder = currentEnvironment()['BANKSIDE_SPECS'] ?? join(import.meta.dirname, '../../../shared/specs')
const files = { aisp: 'account-info-openapi.json', pisp: 'payment-initiation-openapi.json' } as const
const prefix = '/open-banking/v4.0'

/** Reason for skipping, when the official definitions are not at hand. They are never part of this repository. */
export const definitionsMissing = existsSync(join(folder, 'read-write-v4.0', files.aisp))
  ? undefined
  : 'BANKSIDE_SPECS names no folder with the official definitions: answers are not validated against them'

/** Asserts it of every recorded answer of a path that the official definition knows. Those behind it are not the standard's. */
export function assertAllOfficial(answers: readonly { method: string; path: string; answer: Answer }[]): void {
  const ours = answers.filter(
    ({ path, answer }) => /^\/open-banking\/v4\.0\/(aisp|pisp)\//.test(path) && !notOfTheStandard.has(answer.status),
  )
  assert.ok(ours.length > 0, 'nothing was answered')
  for (const { method, path, answer } of ours) assertOfficial(method, path, answer)
}

/** Answers of HTTP that the definition leaves to HTTP. */
const notOfTheStandard = new Set([413, 503])

type Json = { [name: string]: Json } & Json[]

/** Asserts that an answer is one that the official definition of UK Open Banking v4.0 allows for this operation. */
export function assertOfficial(method: string, path: string, answer: Answer): void {
  const [, group] = /^\/open-banking\/v4\.0\/(aisp|pisp)\//.exec(path) ?? []
  if (group !== 'aisp' && group !== 'pisp') throw new Error(`no official definition of ${path}`)
  const definition = load(group)
  const [pathname = ''] = path.slice(`${prefix}/${group}`.length).split('?')
  const template = Object.keys(definition['paths'] ?? {})
    .toSorted((one, other) => one.split('{').length - other.split('{').length)
    .find((candidate) => new RegExp(`^${candidate.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname))
  const responses = definition['paths']?.[template ?? '']?.[method.toLowerCase()]?.['responses']
  // A method that the definition does not know is answered as HTTP has it.
  if (responses === undefined && template !== undefined && answer.status === 405) return
  // Decision D3: a token whose consent ended is told so, in the standard's error body.
  const explained = answer.status === 401 && /^TK(XP|SP)$/.test(answer.body?.Errors?.[0]?.ErrorCode)
  const declared = responses?.[explained ? '400' : String(answer.status)]
  assert.ok(declared, `${method} ${template}: the definition has no answer ${answer.status}`)
  const content = resolve(definition, declared)['content']
  assert.ok(answer.headers['x-fapi-interaction-id'], 'x-fapi-interaction-id')
  if (content === undefined) {
    assert.equal(answer.text, '', `${method} ${template} ${answer.status} has no body`)
    return
  }
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  const validate = compile(group, definition, content['application/json; charset=utf-8']?.['schema'] as Json)
  assert.ok(validate(answer.body), `${method} ${template} ${answer.status}: ${JSON.stringify(validate.errors)} in ${answer.text}`)
}

const loaded = new Map<string, Json>()

function load(group: keyof typeof files): Json {
  const known = loaded.get(group)
  if (known !== undefined) return known
  const definition: Json = JSON.parse(readFileSync(join(folder, 'read-write-v4.0', files[group]), 'utf8'), patch)
  loaded.set(group, definition)
  return definition
}

/** Where the published definition is wrong (decision D12). Each entry is a known mistake that a later draft corrects. */
const patches: readonly { readonly wrong: string; readonly right: string; readonly why: string }[] = [
  { wrong: '^[0-9]{4}[0]{2}[A-Z0-9]{12}[0-9]{2}', right: '^[A-Z0-9]{18}[0-9]{2}$', why: 'LEI: letters are allowed (Update-5-DRAFT)' },
]

function patch(name: string, value: unknown): unknown {
  return name === 'pattern' ? (patches.find(({ wrong }) => value === wrong)?.right ?? value) : value
}

function resolve(definition: Json, node: Json): Json {
  const reference = node['$ref'] as unknown
  if (typeof reference !== 'string') return node
  return resolve(
    definition,
    reference
      .slice(2)
      .split('/')
      .reduce<Json>((place, part) => place[part.replaceAll('~1', '/')] as Json, definition),
  )
}

const validators = new Map<Json, ValidateFunction>()

/** OpenAPI 3.0 schemas as JSON Schema: references are resolved in place, `example` and the like mean nothing to ajv. */
function compile(group: string, definition: Json, schema: Json): ValidateFunction {
  const known = validators.get(schema)
  if (known !== undefined) return known
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { int32: true, float: true } })
  addFormats(ajv)
  ajv.addSchema({ $id: `https://definitions.test/${group}`, components: definition['components'] })
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', `"https://definitions.test/${group}#/`))
  const validate = ajv.compile(absolute)
  validators.set(schema, validate)
  return validate
}
