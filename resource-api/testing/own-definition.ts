import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormatsModule from 'ajv-formats'
import type { Answered } from './test-world.ts'

const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default
type Json = { [name: string]: Json }
export const definition: Json = JSON.parse(readFileSync(join(import.meta.dirname, '../bank-api/openapi.json'), 'utf8'))
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats(ajv as never)
ajv.addSchema({ ...definition, $id: 'https://definitions.test/bank' })

const at = (...path: string[]) =>
  `https://definitions.test/bank#/${path.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`

/** NAT-A10: every answer of a path that our own document describes is one that it allows. */
export function assertOwn({ method, path, answer }: Answered): void {
  const pathname = path.slice('/api/v1'.length).split('?')[0] ?? ''
  const template = Object.keys(definition['paths'] ?? {})
    .toSorted((one, other) => one.split('{').length - other.split('{').length)
    .find((candidate) => new RegExp(`^${candidate.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname))
  const operation = definition['paths']?.[template ?? '']?.[method.toLowerCase()]
  const reference = (operation?.['responses']?.[String(answer.status)] ?? { $ref: '#/components/responses/Problem' })[
    '$ref'
  ] as unknown as string
  const name = reference.split('/').at(-1) ?? ''
  const type = name === 'Problem' ? 'application/problem+json' : 'application/json'
  assert.ok(answer.status >= 400 || name !== 'Problem', `${method} ${path}: the document has no ${answer.status}`)
  assert.equal(answer.headers['content-type'], `${type}; charset=utf-8`)
  const validate = ajv.getSchema(at('components', 'responses', name, 'content', type, 'schema'))
  assert.ok(validate, name)
  assert.ok(validate(answer.body), `${method} ${path} ${answer.status}: ${JSON.stringify(validate.errors)} in ${answer.text}`)
}
