import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { notApplicable } from './not-applicable.ts'
import { checklistsMissing, requirementIds } from './requirement-rows.ts'
import { renderRequirements, requirementStates } from './requirement-states.ts'
import { namedIn, testedRequirements } from './tested-requirements.ts'

test('a requirement is found in titles, and not in comments or longer names', () => {
  const source = [
    "test('AA-01 AA-BB-02 something', () => {})",
    '// AA-03',
    '/* AA-04 */',
    '`D5 $' + '{AA}`',
    "'AA-06-x XAA-07 AA-08, and more'",
    "['*/*', 'AA-09'], '*/*'",
  ]
  assert.deepEqual([...namedIn(source.join('\n'))], ['AA-01', 'AA-BB-02', 'D5', 'XAA-07', 'AA-08', 'AA-09'])
})

test('a row is tested before anything else, then not applicable with a reason, else open', () => {
  const states = requirementStates(['AA-01', Object.keys(notApplicable)[0] ?? '', 'AA-02'], new Map([['AA-01', ['a.test.ts']]]))
  assert.deepEqual(
    states.map(({ state }) => state),
    ['tested', 'not applicable', 'open'],
  )
})

test('what is not applicable has no test', async () => {
  const tested = await testedRequirements()
  assert.deepEqual(
    Object.keys(notApplicable).filter((id) => tested.has(id)),
    [],
  )
})

test('docs/requirements.md is what npm run requirements writes, and no row is open', { skip: checklistsMissing }, async () => {
  const states = requirementStates(requirementIds(), await testedRequirements())
  assert.deepEqual(
    states.filter(({ state }) => state === 'open'),
    [],
  )
  const written = readFileSync(path.join(import.meta.dirname, '../../docs/requirements.md'), 'utf8')
  assert.equal(written, renderRequirements(states), 'run npm run requirements')
})
