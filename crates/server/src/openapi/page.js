'use strict';

// Whatever comes from the document or from an answer becomes text, never markup.

const METHODS = ['get', 'put', 'post', 'delete'];
// Values that the demo's ids are replaced by, once they are known.
const known = new Map();
let api = {};
let numbers = 0;

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

// What a reference points to; anything else stays as it is.
function resolved(value) {
  if (!value || typeof value.$ref !== 'string') return value;
  return value.$ref.slice(2).split('/').reduce((found, key) => found?.[key], api);
}

function pretty(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function labelled(label, input, about) {
  input.id = `input-${++numbers}`;
  const field = element('div', { className: 'field' }, element('label', { htmlFor: input.id }, label), input);
  if (about) {
    const hint = element('span', { className: 'quiet', id: `${input.id}-about` }, about);
    input.setAttribute('aria-describedby', hint.id);
    field.append(hint);
  }
  return field;
}

// Schemas

function typeName(schema) {
  if (!schema || schema === true) return 'anything';
  if (schema.$ref) return schema.$ref.split('/').pop();
  const several = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (several) return several.map(typeName).join(schema.allOf ? ' and ' : ' or ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  const type = [schema.type ?? 'anything'].flat().join(' or ');
  if (schema.items) return `${type} of ${typeName(schema.items)}`;
  if (schema.additionalProperties) return `${type} of ${typeName(schema.additionalProperties)} by name`;
  return type;
}

// The schemas with fields that this one leads to without a field in between.
function parts(schema) {
  const found = resolved(schema);
  if (!found || found === true) return [];
  const inner = [...(found.oneOf ?? []), ...(found.anyOf ?? []), ...(found.allOf ?? [])];
  if (found.items) inner.push(found.items);
  if (typeof found.additionalProperties === 'object') inner.push(found.additionalProperties);
  return [...(found.properties ? [found] : []), ...inner.flatMap(parts)];
}

// A schema may hold itself, so that a part of it is written out when somebody opens it.
function schemaList(schema) {
  const list = element('ul', { className: 'schema' });
  for (const part of parts(schema)) {
    for (const [name, field] of Object.entries(part.properties)) {
      const required = part.required?.includes(name) ? ', required' : '';
      const line = [element('code', {}, name), ` ${typeName(field)}${required}`];
      const about = field.description ?? resolved(field)?.description;
      if (about) line.push(element('span', { className: 'quiet' }, ` – ${about}`));
      list.append(element('li', {}, parts(field).length ? unfolding(line, () => schemaList(field)) : element('span', {}, ...line)));
    }
  }
  return list;
}

function unfolding(line, make) {
  const details = element('details', {}, element('summary', {}, ...line));
  details.addEventListener('toggle', () => details.append(make()), { once: true });
  return details;
}

// Operations

function example(name, value) {
  return known.get(name) ?? value ?? '';
}

function inputs(operation) {
  return (operation.parameters ?? []).map((given) => {
    const parameter = resolved(given);
    // A value that is not needed starts empty: an example of it may not fit what is there.
    const value = parameter.required ? example(parameter.name, parameter.example) : '';
    const input = element('input', { type: 'text', value, required: Boolean(parameter.required), spellcheck: false });
    input.autocomplete = 'off';
    const about = [parameter.in, parameter.required && 'required', parameter.description].filter(Boolean).join(', ');
    return { parameter, input, field: labelled(parameter.name, input, about) };
  });
}

// A path of several segments keeps its slashes.
function encoded(name, value) {
  return name === 'path' ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
}

function requestOf(path, method, fields, body) {
  let target = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of fields) {
    if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encoded(parameter.name, input.value));
    else if (!input.value) continue;
    else if (parameter.in === 'query') query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  if (query.size) target += `?${query}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  return { target, options: { method: method.toUpperCase(), headers, body, credentials: 'omit', redirect: 'error' } };
}

function curl({ target, options }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const headers = Object.entries(options.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const body = options.body === undefined ? [] : ['-d', quoted(options.body)];
  return ['curl', '-X', options.method, quoted(location.origin + target), ...headers, ...body].join(' ');
}

async function send(request, output) {
  const begun = performance.now();
  try {
    const answer = await fetch(request.target, request.options);
    const text = await answer.text();
    const ms = Math.round(performance.now() - begun);
    let shown = text;
    try { shown = pretty(JSON.parse(text)); } catch { /* It is no JSON, and is shown as it came. */ }
    const status = element('span', { className: answer.ok ? 'good' : 'bad' }, `${answer.status} ${answer.statusText}`);
    output.replaceChildren(element('p', {}, status, ` in ${ms} ms`), element('pre', { tabIndex: 0 }, shown || 'no body'));
  } catch (error) {
    output.replaceChildren(element('p', { className: 'bad' }, `There is no answer: ${error.message}`));
  }
  output.append(element('h3', {}, 'The same as a command'), element('pre', { tabIndex: 0 }, curl(request)));
}

function form(path, method, operation) {
  const fields = inputs(operation);
  const content = resolved(operation.requestBody)?.content?.['application/json'];
  const made = element('form', {}, ...fields.map(({ field }) => field));
  let body;
  if (content) {
    body = element('textarea', { value: pretty(content.example), spellcheck: false, id: `input-${++numbers}` });
    made.append(element('label', { htmlFor: body.id }, 'Body'), body);
  }
  const button = element('button', { type: 'submit' }, 'Send');
  const output = element('div', {});
  output.setAttribute('aria-live', 'polite');
  made.append(button, output);
  made.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (method === 'delete' && !confirm('This deletes something. Send it?')) return;
    button.disabled = true;
    await send(requestOf(path, method, fields, body?.value), output);
    button.disabled = false;
  });
  return made;
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, given]) => {
    const response = resolved(given);
    const line = [element('code', {}, status), ` ${response.description}`];
    const contents = Object.values(response.content ?? {});
    if (!contents.length) return element('p', {}, ...line);
    return unfolding(line, () => element('div', {}, ...contents.flatMap((content) =>
      [element('pre', { tabIndex: 0 }, pretty(content.example)), schemaList(content.schema)])));
  });
}

function details(path, method, operation) {
  const made = element('div', {});
  if (operation.description) made.append(element('p', {}, operation.description));
  made.append(form(path, method, operation));
  const content = resolved(operation.requestBody)?.content?.['application/json'];
  if (content) made.append(element('h3', {}, 'What the body may hold'), schemaList(content.schema));
  made.append(element('h3', {}, 'Answers'), ...answers(operation));
  return made;
}

function operationOf(path, method, operation) {
  const title = [element('span', { className: 'method' }, method.toUpperCase()), element('code', {}, path)];
  const line = element('summary', {}, ...title, element('span', { className: 'quiet' }, ` ${operation.summary}`));
  const made = element('details', { className: 'operation', id: operation.operationId }, line);
  made.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase();
  made.addEventListener('toggle', () => made.append(details(path, method, operation)), { once: true });
  return made;
}

function groupOf({ name, description }) {
  const made = element('section', {}, element('h2', {}, name), element('p', { className: 'quiet' }, description));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method]?.tags.includes(name))) {
      made.append(operationOf(path, method, item[method]));
    }
  }
  return made;
}

function filter(text) {
  for (const section of document.querySelectorAll('section')) {
    const operations = [...section.querySelectorAll('.operation')];
    for (const operation of operations) operation.hidden = !operation.dataset.text.includes(text.toLowerCase());
    section.hidden = operations.every((operation) => operation.hidden);
  }
}

// Ids that work, where this listener knows stores: those of the demo, or of the first store.
async function learn() {
  if (!api.paths['/stores']) return;
  const read = async (target) => (await fetch(target, { credentials: 'omit' })).json();
  const { stores = [] } = await read('/stores?page_size=100');
  const store = stores.find(({ name }) => name === 'demo') ?? stores[0];
  if (!store) return;
  known.set('store_id', store.id);
  const { authorization_models: models = [] } = await read(`/stores/${store.id}/authorization-models?page_size=1`);
  if (models.length) known.set('model_id', models[0].id);
}

async function start() {
  const operations = document.getElementById('operations');
  const state = document.getElementById('state');
  try {
    const answer = await fetch('/openapi.json', { credentials: 'omit' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = await answer.json();
    // Without them the examples' ids stay, which can be typed over.
    await learn().catch(() => {});
    document.title = `${api.info.title} ${api.info.version}`;
    document.getElementById('title').textContent = document.title;
    document.getElementById('description').textContent = api.info.description;
    operations.replaceChildren(...api.tags.map(groupOf));
    const input = document.getElementById('filter');
    input.addEventListener('input', () => filter(input.value));
    const wanted = document.getElementById(location.hash.slice(1));
    if (wanted?.classList.contains('operation')) wanted.open = true;
  } catch (error) {
    state.textContent = `The document can't be read: ${error.message}`;
  }
  operations.setAttribute('aria-busy', 'false');
}

start();
