// What thalweg asks of a Stan program, as plain C functions. It is compiled behind the C++ that
// stanc writes for the program, whose new_model() it uses. All arrays hold float64, one point
// after the other; what goes wrong is written into `message` as one line of text.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <stan/io/json/json_data.hpp>
#include <stan/model/log_prob_grad.hpp>
#include <stan/services/util/create_rng.hpp>

namespace {

const double nan_value = std::numeric_limits<double>::quiet_NaN();

struct Handle {
  std::unique_ptr<stan::model::model_base> model;
  std::string text;  // what thalweg_describe answers last
};

// Stan's automatic differentiation keeps its stack by thread, and callbacks come from any.
void prepare_thread() { static thread_local stan::math::ChainableStack stack; }

void say(const char* what, char* message, size_t length) {
  if (length == 0) return;
  std::strncpy(message, what, length - 1);
  message[length - 1] = '\0';
}

Eigen::VectorXd point_at(const double* points, size_t row, size_t size) {
  return Eigen::Map<const Eigen::VectorXd>(points + row * size, size);
}

double value_at(const stan::model::model_base& model, Eigen::VectorXd& u, bool jacobian) {
  return jacobian ? model.log_prob_jacobian(u, nullptr) : model.log_prob(u, nullptr);
}

double gradient_at(const stan::model::model_base& model, Eigen::VectorXd& u,
                   Eigen::VectorXd& gradient) {
  return stan::model::log_prob_grad<false, true>(model, u, gradient, nullptr);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace

extern "C" {

// The model with data from a JSON text; null where the data do not fit.
void* thalweg_construct(const char* json, char* message, size_t length) {
  prepare_thread();
  try {
    std::istringstream stream(json);
    stan::json::json_data data(stream);
    auto handle = std::make_unique<Handle>();
    handle->model.reset(&new_model(data, 0, nullptr));
    return handle.release();
  } catch (const std::exception& error) {
    say(error.what(), message, length);
    return nullptr;
  }
}

void thalweg_destroy(void* handle) { delete static_cast<Handle*>(handle); }

size_t thalweg_dim(const void* handle) {
  return static_cast<const Handle*>(handle)->model->num_params_r();
}

// 0: parameters, each with its dimensions; 1: a name for every constrained number, in the order of
// thalweg_constrain; 2: one for every unconstrained number. One line each.
const char* thalweg_describe(void* handle, int what) {
  auto* own = static_cast<Handle*>(handle);
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

// ln p̃ at n points, with the determinant of the transforms or without. Where the program rejects
// a point the value is −inf; where it fails in another way NaN, and the count of such is returned.
size_t thalweg_values(const void* handle, size_t n, const double* points, int jacobian,
                      double* values, char* message, size_t length) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  size_t failed = 0;
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, size);
    try {
      values[row] = u.hasNaN() ? nan_value : value_at(model, u, jacobian != 0);
    } catch (const std::domain_error&) {
      values[row] = -std::numeric_limits<double>::infinity();
    } catch (const std::exception& error) {
      values[row] = nan_value;
      if (failed++ == 0) say(error.what(), message, length);
    }
  }
  return failed;
}

// What the program says at the first of n points that it rejects or fails at. Returns whether there
// was one.
int thalweg_reason(const void* handle, size_t n, const double* points, char* message,
                   size_t length) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, size);
    if (u.hasNaN()) continue;
    try {
      value_at(model, u, true);
    } catch (const std::exception& error) {
      say(error.what(), message, length);
      return 1;
    }
  }
  return 0;
}

// As thalweg_values, with gradients (n, dim), which are 0 where a value is −inf and NaN where it is NaN.
size_t thalweg_gradients(const void* handle, size_t n, const double* points, double* values,
                         double* gradients, char* message, size_t length) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  size_t failed = 0;
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, size), slope = Eigen::VectorXd::Constant(size, 0.0);
    double value = nan_value;
    try {
      if (!u.hasNaN()) value = gradient_at(model, u, slope);
    } catch (const std::domain_error&) {
      value = -std::numeric_limits<double>::infinity();
    } catch (const std::exception& error) {
      if (failed++ == 0) say(error.what(), message, length);
    }
    values[row] = value;
    if (value == -std::numeric_limits<double>::infinity()) slope.setZero(size);
    if (std::isnan(value)) slope = Eigen::VectorXd::Constant(size, nan_value);
    std::copy(slope.data(), slope.data() + size, gradients + row * size);
  }
  return failed;
}

// Hessians (n, dim, dim): central differences of the exact gradient, made symmetric. The step is
// ε^{1/3} max(1, |uᵢ|), for which rounding and curvature of the gradient cost about the same.
void thalweg_hessians(const void* handle, size_t n, const double* points, double* hessians) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  const double relative = std::cbrt(std::numeric_limits<double>::epsilon());
  for (size_t row = 0; row < n; ++row) {
    const Eigen::VectorXd u = point_at(points, row, size);
    Eigen::MatrixXd found(size, size);
    Eigen::VectorXd moved = u, ahead(size), behind(size);
    try {
      if (u.hasNaN()) throw std::domain_error("not a number");
      for (size_t i = 0; i < size; ++i) {
        const double step = relative * std::max(1.0, std::abs(u[i]));
        moved[i] = u[i] + step;
        const double above = moved[i];
        gradient_at(model, moved, ahead);
        moved[i] = u[i] - step;
        const double below = moved[i];
        gradient_at(model, moved, behind);
        moved[i] = u[i];
        found.col(i) = (ahead - behind) / (above - below);  // the distance as it was rounded
      }
      found = (0.5 * (found + found.transpose())).eval();
    } catch (const std::exception&) {
      found.setConstant(nan_value);
    }
    std::copy(found.data(), found.data() + size * size, hessians + row * size * size);
  }
}

// Parameters of n unconstrained points, `width` numbers each; NaN where there are none.
void thalweg_constrain(const void* handle, size_t n, const double* points, size_t width,
                       double* out) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  auto rng = stan::services::util::create_rng(0, 1);
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd u = point_at(points, row, size), found;
    try {
      model.write_array(rng, u, found, false, false, nullptr);
    } catch (const std::exception&) {
      found.resize(0);
    }
    if (static_cast<size_t>(found.size()) != width)
      found = Eigen::VectorXd::Constant(width, nan_value);
    std::copy(found.data(), found.data() + width, out + row * width);
  }
}

// The inverse. Returns the first row that lies outside the supports, or n.
size_t thalweg_unconstrain(const void* handle, size_t n, const double* points, size_t width,
                           double* out, char* message, size_t length) {
  prepare_thread();
  const auto& model = *static_cast<const Handle*>(handle)->model;
  const size_t size = model.num_params_r();
  for (size_t row = 0; row < n; ++row) {
    Eigen::VectorXd x = point_at(points, row, width), found;
    try {
      model.unconstrain_array(x, found, nullptr);
    } catch (const std::exception& error) {
      say(error.what(), message, length);
      return row;
    }
    std::copy(found.data(), found.data() + size, out + row * size);
  }
  return n;
}

}  // extern "C"
