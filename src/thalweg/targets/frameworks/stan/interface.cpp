// What thalweg asks of a Stan program, as plain C functions. It is compiled behind rows.cpp and uses
// new_model(), which stanc writes. All arrays hold float64, one point after the other; what goes
// wrong is written into `message` as one line of text.

#include <cstring>
#include <sstream>

#include <stan/io/json/json_data.hpp>
#include <stan/services/util/create_rng.hpp>

namespace {

const int unknown = -1;  // what functions return where a number names no model

void say(const char* what, char* message, size_t length) {
  if (length == 0) return;
  std::strncpy(message, what, length - 1);
  message[length - 1] = '\0';
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace

extern "C" {

// The number of a new model with data from a JSON text; 0 where the data do not fit.
uint32_t thalweg_construct(const char* json, char* message, size_t length) {
  prepare_thread();
  try {
    std::istringstream stream(json);
    stan::json::json_data data(stream);
    auto handle = std::make_shared<Handle>();
    handle->model.reset(&new_model(data, 0, nullptr));
    std::lock_guard<std::mutex> lock(table().mutex);
    table().models[table().last + 1] = std::move(handle);
    return ++table().last;
  } catch (const std::exception& error) {
    say(error.what(), message, length);
    return 0;
  }
}

// Calls in flight keep the model until they return.
void thalweg_destroy(uint32_t number) {
  const auto last = find(number);  // what destroys it, after the table is free again
  std::lock_guard<std::mutex> lock(table().mutex);
  table().models.erase(number);
}

int thalweg_dim(uint32_t number) {
  const auto own = find(number);
  return own ? static_cast<int>(own->model->num_params_r()) : unknown;
}

// 0: parameters, each with its dimensions; 1: a name for every constrained number, in the order of
// thalweg_constrain; 2: one for every unconstrained number. One line each.
const char* thalweg_describe(uint32_t number, int what) {
  const auto own = find(number);
  if (!own) return "";
  std::vector<std::string> names;
  if (what == 0) {
    std::vector<std::vector<size_t>> dims;
    own->model->get_param_names(names, false, false);
    own->model->get_dims(dims, false, false);
    for (size_t i = 0; i < names.size(); ++i)
      for (size_t n : dims[i]) names[i] += " " + std::to_string(n);
  } else if (what == 1) {
    own->model->constrained_param_names(names, false, false);
  } else {
    own->model->unconstrained_param_names(names, false, false);
  }
  own->text = joined(names);
  return own->text.c_str();
}

// ln p̃ at n points, with the determinant of the transforms or without.
int thalweg_values(uint32_t number, size_t n, const double* points, int jacobian,
                   double* values) {
  const auto own = find(number);
  if (!own) return unknown;
  for_rows(n, [&](size_t row) { value_row(*own->model, points, row, jacobian != 0, values); });
  return 0;
}

// ln p̃ and its gradients (n, dim).
int thalweg_gradients(uint32_t number, size_t n, const double* points, double* values,
                      double* gradients) {
  const auto own = find(number);
  if (!own) return unknown;
  for_rows(n, [&](size_t row) { gradient_row(*own->model, points, row, values, gradients); });
  return 0;
}

// Hessians (n, dim, dim).
int thalweg_hessians(uint32_t number, size_t n, const double* points, double* hessians) {
  const auto own = find(number);
  if (!own) return unknown;
  for_rows(n, [&](size_t row) { hessian_row(*own->model, points, row, hessians); });
  return 0;
}

// What the program says at the first of n points that it fails at or, if `rejections` count too,
// rejects. Returns whether there was one.
int thalweg_reason(uint32_t number, size_t n, const double* points, int rejections, char* message,
                   size_t length) {
  prepare_thread();
  const auto own = find(number);
  if (!own) return unknown;
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, own->model->num_params_r());
    if (u.hasNaN()) continue;
    try {
      density(*own->model, u, true);
    } catch (const std::exception& error) {
      if (!rejections && dynamic_cast<const std::domain_error*>(&error)) continue;
      say(error.what(), message, length);
      return 1;
    }
  }
  return 0;
}

// Parameters of n unconstrained points, `width` numbers each; NaN where there are none.
int thalweg_constrain(uint32_t number, size_t n, const double* points, size_t width, double* out) {
  prepare_thread();
  const auto own = find(number);
  if (!own) return unknown;
  auto rng = stan::services::util::create_rng(0, 1);
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, own->model->num_params_r()), found;
    try {
      own->model->write_array(rng, u, found, false, false, nullptr);
    } catch (const std::exception&) {
      found.resize(0);
    }
    if (static_cast<size_t>(found.size()) != width)
      found = Eigen::VectorXd::Constant(width, nan_value);
    std::copy(found.data(), found.data() + width, out + row * width);
  }
  return 0;
}

// The inverse. Returns whether a row lies outside the supports, which `message` names then.
int thalweg_unconstrain(uint32_t number, size_t n, const double* points, size_t width, double* out,
                        char* message, size_t length) {
  prepare_thread();
  const auto own = find(number);
  if (!own) return unknown;
  const size_t size = own->model->num_params_r();
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd x = point_at(points, row, width), found;
    try {
      own->model->unconstrain_array(x, found, nullptr);
    } catch (const std::exception& error) {
      say(error.what(), message, length);
      return 1;
    }
    std::copy(found.data(), found.data() + size, out + row * size);
  }
  return 0;
}

}  // extern "C"
